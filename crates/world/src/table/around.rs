//! What a site of a scenario has around it.

use crate::scenario::Setup;

/// The setup of a world's backend in which nothing is odd.
pub fn setup() -> Setup {
    Setup {
        second_account: false,
        write_back: false,
        ids: true,
        bad_shop: false,
        both_accounts: false,
        late: Default::default(),
        zone_hours: 0,
    }
}
