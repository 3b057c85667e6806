//! Makes a scenario that fails shorter, for as long as it still fails.

use crate::play::play;
use crate::scenario::Scenario;

/// Most runs that this may take.
const MAX_RUNS: usize = 250;

/// The shortest that was found.
pub fn shrink(scenario: &Scenario) -> Scenario {
    let (mut shortest, mut runs) = (scenario.clone(), 0);
    let mut fails = |scenario: &Scenario| {
        runs += 1;
        runs <= MAX_RUNS && !play(scenario, false).findings.is_empty()
    };
    // Whole spells first: what is behind the finding never mattered.
    while shortest.spells.len() > 1 {
        let mut shorter = shortest.clone();
        shorter.spells.pop();
        if !fails(&shorter) {
            break;
        }
        shortest = shorter;
    }
    for spell in (0..shortest.spells.len()).rev() {
        let mut size = shortest.spells[spell].len().max(1);
        while size > 0 {
            let mut from = 0;
            while from < shortest.spells[spell].len() {
                let to = (from + size).min(shortest.spells[spell].len());
                let shorter = shortest.without(spell, from..to);
                if fails(&shorter) {
                    shortest = shorter;
                } else {
                    from = to;
                }
            }
            size /= 2;
        }
    }
    shortest
}
