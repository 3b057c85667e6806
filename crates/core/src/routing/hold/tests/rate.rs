//! Rate limits: what they must do whatever comes, against a model that counts seconds, and together with groups.

use proptest::prelude::*;

use super::*;

/// A limit as the configuration has it, of seconds.
fn limited(mut router: Router, count: u32, per: u64) -> Router {
    router.targets[0].rate_limit = Some(RateLimit {
        count,
        per: Duration::from_secs(per),
    });
    router
}

/// The same in the simplest form.
#[derive(Default)]
struct Model {
    /// Messages, with the time until which each counts.
    sent: Vec<(i64, Severity)>,
    held: Vec<(u64, Severity)>,
    due: i64,
    messages: Vec<(i64, Vec<u64>)>,
}

impl Model {
    fn send(&mut self, now: i64, per: i64, ids: Vec<u64>, severity: Severity) {
        self.messages.push((now, ids));
        self.sent.push((now + per, severity));
    }

    fn look(&mut self, now: i64, per: i64) {
        if let Some(worst) = self.held.iter().map(|(_, severity)| *severity).max()
            && self.due <= now
        {
            let ids = self.held.drain(..).map(|(id, _)| id).collect();
            self.send(now, per, ids, worst);
        }
    }

    fn see(&mut self, now: i64, (count, per): (usize, i64), (id, severity): (u64, Severity)) {
        self.sent.retain(|(until, _)| *until > now);
        let worst = self.sent.iter().map(|(_, severity)| *severity).max();
        let has_room = self.held.is_empty() && self.sent.len() < count;
        if has_room || worst.is_some_and(|worst| severity > worst) {
            self.send(now, per, vec![id], severity);
            return;
        }
        if self.held.is_empty() {
            self.due = self.sent[self.sent.len() - count].0;
        }
        self.held.push((id, severity));
    }
}

proptest! {
    /// Whatever comes, a sink gets the messages that the model says, at their times, and in the end nothing is remembered.
    #[test]
    fn messages_are_those_of_the_model(
        ops in proptest::collection::vec(op(), 0..80),
        (count, per) in prop_oneof![Just((1, 60)), Just((3, 60)), Just((2, 300)), Just((5, 300))],
    ) {
        let mut router = limited(router(0, 60, &[]), count, per);
        router.routes[0].group = None;
        let limit = (count as usize, i64::try_from(per).unwrap());
        let (mut hub, mut model, mut last) = (Hub::new(router), Model::default(), 0);
        for op in ops.into_iter().chain([Op::Pass(301), Op::Pass(301)]) {
            match op {
                Op::See(camera, severity) => {
                    last += 1;
                    hub.see(last, CAMERAS[camera], severity);
                    model.see(hub.now, limit, (last, severity));
                }
                Op::Acknowledge(id) => {
                    hub.acknowledge(id);
                    model.held.retain(|(held, _)| *held != id);
                }
                Op::SetClock(by) => hub.set_clock(by),
                Op::Pass(time) => {
                    (0..time).for_each(|second| model.look(hub.now + second + 1, limit.1));
                    hub.pass(time, true);
                }
                Op::Off(time) => {
                    hub.pass(time, false);
                    model.look(hub.now, limit.1);
                }
            }
        }
        prop_assert_eq!(hub.messages, model.messages);
        prop_assert!(hub.state.holds.is_empty());
    }

    /// With groups as well each alert is in one message, there are never more of them than there may be, and each comes in the end.
    #[test]
    fn with_groups_each_alert_is_in_one_message_and_there_are_no_more_than_may_be(
        ops in proptest::collection::vec(op(), 0..80),
        (wait, interval) in prop_oneof![Just((0, 60)), Just((30, 60)), Just((30, 300))],
        (count, per) in prop_oneof![Just((1, 60)), Just((2, 300)), Just((5, 600))],
    ) {
        let router = limited(router(wait, interval, &[GroupLabel::Camera]), count, per);
        let (mut hub, mut last) = (Hub::new(router), 0);
        // What is held for a group goes on to what is held over the limit, and that takes as long once more.
        for op in ops.into_iter().chain([Op::Pass(601), Op::Pass(601), Op::Pass(601)]) {
            match op {
                Op::See(camera, _) => {
                    last += 1;
                    hub.see(last, CAMERAS[camera], Severity::Low);
                }
                Op::Acknowledge(_) => {}
                Op::SetClock(by) => hub.set_clock(by),
                Op::Pass(time) => hub.pass(time, true),
                Op::Off(time) => hub.pass(time, false),
            }
        }
        let mut ids: Vec<u64> = hub.messages.iter().flat_map(|(_, ids)| ids.clone()).collect();
        ids.sort_unstable();
        prop_assert_eq!(ids, Vec::from_iter(1..=last));
        for some in hub.messages.windows(count as usize + 1) {
            let within = some[count as usize].0 - some[0].0;
            prop_assert!(within >= i64::try_from(per).unwrap(), "{some:?}");
        }
        prop_assert!(hub.state.holds.is_empty());
    }
}

#[test]
fn what_is_remembered_of_a_limit_is_bounded_and_its_digest_says_what_it_is() {
    let mut router = limited(router(0, 60, &[]), 2, 3_600);
    router.routes[0].group = None;
    let mut hub = Hub::new(router);
    for id in 1..1_000 {
        hub.see(id, CAMERAS[id as usize % 2], Severity::Low);
        hub.pass(1, true);
    }
    assert!(serde_json::to_string(&hub.state.holds).unwrap().len() < 20_000);
    hub.pass(3_600, true);
    assert_eq!(hub.messages.len(), 3);
    let digest = &hub.digests[0];
    assert_eq!(digest.digest.as_ref().unwrap().ids.len(), 100);
    expect![[r#"
        997 more alerts between 13:46 and 14:03
        997 alerts of shop happened between 1970-01-12 13:46 and 1970-01-12 14:03, and were over the `rate_limit` of sink mail. The worst of them: Anomaly at Gate. `watchpost alerts list --since "1970-01-12 13:46"` lists them.
    "#]].assert_eq(&format!("{}\n{}\n", digest.title, digest.text));
}

#[test]
fn why_it_is_held_is_explained() {
    let router = limited(router(0, 300, &[]), 1, 3_600);
    let mut hub = Hub::new(router);
    hub.see(1, "Gate", Severity::Low);
    hub.pass(301, true);
    let alert = seen(2, hub.clock(), "Gate", Severity::Low);
    let effects = hub
        .router
        .step(hub.clock(), &hub.state, RoutingEvent::Alert(&alert));
    let held = &effects.suppressions[0].reason;
    expect!["the sink got 1 message within 60 min, as many as it may (`rate_limit`): it is held for one message with all others"].assert_eq(&held.to_string());
    expect![[r#"{"code":"over_rate_limit","count":1,"seconds":3600,"until":"1970-01-12T14:46:40.000Z"}"#]]
        .assert_eq(&serde_json::to_string(held).unwrap());
}
