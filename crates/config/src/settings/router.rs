//! What decides where alerts go, made of all that the settings say of it.

use watchpost_core::{Route, Router, Target};

use super::inhibit;
use super::{ConfirmSettings, PolicySettings, RouteSettings, Settings, SinkSettings};

/// The routes, policies, areas, expectations and inhibitions of the configuration, in the words of the domain.
pub fn router(settings: &Settings) -> Router {
    let schedules = settings.schedules();
    let target = |sink: &SinkSettings| Target {
        name: sink.name.clone(),
        max_age: sink.max_age.map(Into::into),
        cancel_on_acknowledge: sink.cancels_on_acknowledge(),
        events: sink.gets_events(),
        deliver_when_full: sink.delivers_when_full(),
        wait_picture: sink.wait_picture().into(),
        late: sink.late(),
        keeps_record: sink.keeps_record(),
        only_armed: settings.only_armed(sink),
        makes_noise: sink.makes_noise(),
        remote: sink.is_remote(),
        rate_limit: sink.rate_limit(),
    };
    let route = |(number, route): (usize, &RouteSettings)| Route {
        name: route
            .name
            .clone()
            .unwrap_or_else(|| format!("number {}", number + 1)),
        matches: route.matches.conditions(&schedules),
        sinks: route.sinks.clone(),
        delay: route.delay.map(Into::into),
        stop: route.stop,
        confirm: route.confirm.as_ref().map(ConfirmSettings::confirm),
        group: route.grouping(),
        policy: route.policy(),
        repeat: route.repeat_interval.map(Into::into),
    };
    let expected = settings.expect.iter();
    let expected = expected.map(|expect| expect.expectation(&schedules, inhibit::about(settings, expect)));
    Router::new(
        settings.sink.iter().map(target).collect(),
        settings.route.iter().enumerate().map(route).collect(),
    )
    .with_areas(settings.area_policies())
    .with_expectations(expected.collect())
    .with_inhibitions(inhibit::inhibitions(settings))
    .with_policies(settings.policy.iter().map(PolicySettings::policy).collect())
}
