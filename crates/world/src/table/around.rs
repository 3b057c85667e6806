//! What a site of a scenario has around it.

use crate::scenario::Setup;

/// What a site has beside what its scenario says: the backend, which is asked as rarely as it can be, and a way in for what is
/// seen while that is away.
pub const BESIDE: &str = r#"
[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
login = { email = "yard@example.org", password = "secret" }
accept_notices = true
backfill = { interval = "1h" }
slot = { interval = "1h" }
reconnect = { max = "1s", jitter = 0 }

[[connection]]
name = "posts"
kind = "inbound"
token = "a token that no one guesses"
"#;

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
