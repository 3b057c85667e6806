//! Test mode against a small model.

use super::*;

/// What happens to a yard.
#[derive(Clone, Debug)]
enum Happens {
    /// A test begins, for so many minutes.
    Begin(i64),
    /// A person ends it.
    End,
    /// A camera sees something.
    Seen,
    /// So many minutes go by.
    Pass(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        1 => (1..60_i64).prop_map(Happens::Begin),
        1 => Just(Happens::End),
        3 => Just(Happens::Seen),
        3 => (1..40_i64).prop_map(Happens::Pass),
    ]
}

fn test(minutes: Option<i64>) -> ArmingCommand {
    ArmingCommand::Test {
        areas: vec!["Yard".into()],
        lasts: minutes.map(|minutes| Duration::from_secs(minutes.unsigned_abs() * 60)),
        by: Actor::Operator,
    }
}

#[test]
fn it_lasts_a_minute_to_eight_hours() {
    for (minutes, fits) in [(0, false), (1, true), (480, true), (481, false)] {
        let mut site = Site::armed();
        assert_eq!(site.command(&test(Some(minutes))).is_ok(), fits, "{minutes}");
    }
}

proptest! {
    /// What is seen goes to the archive alone exactly while a test lasts, raises no alarm then, and each test ends once.
    #[test]
    fn it_is_recorded_only_while_it_lasts(all in proptest::collection::vec(happens(), 0..60)) {
        let mut site = Site::armed();
        let mut until: Option<i64> = None;
        for happens in all {
            match happens {
                Happens::Begin(minutes) => {
                    site.command(&test(Some(minutes))).unwrap();
                    until = Some(site.now + minutes * 60);
                    prop_assert_eq!(site.events(), ["test_begun"]);
                }
                Happens::End => {
                    let ended = site.command(&test(None)).is_ok();
                    prop_assert_eq!(ended, until.take().is_some());
                    prop_assert_eq!(site.events().len(), usize::from(ended));
                }
                Happens::Seen => {
                    let got = site.see("Back door");
                    let tested = until.is_some();
                    prop_assert_eq!(got == ["archive"], tested, "{:?}", got);
                    prop_assert_eq!(got == ["siren", "mail", "archive"], !tested, "{:?}", got);
                    prop_assert!(tested || site.yard().starts_with("triggered"));
                    site.events();
                }
                Happens::Pass(minutes) => {
                    let over = site.pass(minutes * 60).into_iter().filter(|said| *said == "test_over").count();
                    let ends = until.is_some_and(|until| until <= site.now);
                    prop_assert_eq!(over, usize::from(ends));
                    until = until.filter(|_| !ends);
                }
            }
            prop_assert_eq!(site.area("Yard").test.is_some(), until.is_some());
        }
    }
}
