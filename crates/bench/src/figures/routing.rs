//! What routing costs an alert where there are very many routes. The step is pure, so it is asked in this process; and what it
//! costs the hub that stores alerts.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use watchpost_core::{
    Alert, AlertId, AlertKind, Camera, Confirm, Details, Match, Route, Router, RoutingEvent,
};
use watchpost_core::{RoutingState, Severity, Target, UnixMillis, VisionGuard};

use crate::firehose::Load;
use crate::hub::Sink;
use crate::lab::{ARCHIVE, Lab};
use crate::report::Figure;
use crate::statistics::median;
use crate::subject;

const ROUTES: usize = 200;
const CAMERAS: usize = 1_000;
const SINKS: usize = 10;

/// Routing one alert may take this long, in microseconds.
const TARGET_US: f64 = 50.0;

/// Each camera raises so many alerts.
const ALERTS_A_CAMERA: usize = 100;

/// One of so many routes asks for confirmation, where some do.
const CONFIRMED_ONE_IN: usize = 20;

/// Between two alerts of a site on which all cameras see something all the time, in milliseconds.
const ALERT_EVERY_MS: i64 = 100;

/// Routes of a hub that stores alerts, and the share of the rate without any that is wanted, in percent.
const INGEST_ROUTES: usize = 100;
const INGEST_TARGET: f64 = 90.0;

/// The size of its pictures, in KB.
const INGEST_KB: usize = 10;

/// Measures the group.
pub(super) fn measure(lab: &mut Lab) -> Result<Vec<Figure>> {
    Ok(vec![
        routing("routing_us", None),
        routing("routing_confirmed_us", Some(CONFIRMED_ONE_IN)),
        ingest(lab)?,
    ])
}

/// What the step takes, from what each alert leaves behind to the next. One of so many routes asks for confirmation.
fn routing(name: &'static str, confirmed_one_in: Option<usize>) -> Figure {
    let router = router(confirmed_one_in);
    let mut alerts: Vec<Alert> = (0..CAMERAS).map(alert).collect();
    let (mut state, mut now) = (RoutingState::default(), UnixMillis(1_000_000));
    let (mut deliveries, mut number) = (0, 1_000_000_u64);
    let mut spent = Duration::ZERO;
    for _ in 0..ALERTS_A_CAMERA {
        for alert in &mut alerts {
            now.0 += ALERT_EVERY_MS;
            number += 1;
            (alert.id, alert.received_at) = (AlertId(number), now);
            let begun = Instant::now();
            let effects = router.step(now, &state, RoutingEvent::Alert(black_box(alert)));
            deliveries += black_box(&effects).deliveries.len();
            if let Some(after) = effects.state {
                state = after;
            }
            spent += begun.elapsed();
        }
    }
    let events = (CAMERAS * ALERTS_A_CAMERA) as f64;
    let us = spent.as_secs_f64() * 1e6 / events;
    Figure::at_most(name, us, "µs", TARGET_US)
        .with("routes", ROUTES as f64)
        .with("cameras", CAMERAS as f64)
        .with("deliveries_an_alert", deliveries as f64 / events)
}

/// The rate at which a hub with many routes stores alerts, against one without any, in turns. Its archive gets all of them in both.
fn ingest(lab: &mut Lab) -> Result<Figure> {
    let picture = lab.picture(INGEST_KB)?;
    let load = Load {
        most: lab.effort.archived,
        ..lab.effort.flood_of(&picture)
    };
    let rate = |routes: usize| -> Result<f64> {
        let dir = lab.scratch()?;
        let sink = Sink::Bundled("archive", archive_with(routes, dir.path()));
        let run = subject::hub_in(lab, dir.path(), &picture, load, &[sink])?;
        Ok(run.result.tally.sent as f64 / run.result.took.as_secs_f64())
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..lab.effort.rounds {
        without.push(rate(0)?);
        with.push(rate(INGEST_ROUTES)?);
    }
    let (without, with) = (median(without), median(with));
    let figure = Figure::at_least(
        "ingest_100_routes_of_none",
        with / without * 100.0,
        "%",
        INGEST_TARGET,
    );
    Ok(figure
        .with("with_per_s", with.round())
        .with("without_per_s", without.round()))
}

/// The lines of an archive sink, and of so many routes to it, the last of which takes what there is.
fn archive_with(routes: usize, dir: &Path) -> String {
    let archive = format!("{:?}", dir.join(ARCHIVE).to_string_lossy());
    let mut toml = format!("[sink.sandbox]\nwrite = [{archive}]\n[sink.config]\ndir = {archive}\n");
    for number in 1..=routes {
        let matches = match number == routes {
            true => "connection = \"bench\"".to_owned(),
            false => format!("stream = \"camera-{number}*\", visionguard = {{ score_below = -3.0 }}"),
        };
        // Writing into a string cannot fail.
        let _ = write!(
            toml,
            "\n[[route]]\nname = \"route{number}\"\nmatch = {{ {matches} }}\nsinks = \"archive\"\n"
        );
    }
    toml
}

/// Routes of all sorts: by lists of names, by patterns, by score, with alternatives and exceptions.
fn router(confirmed_one_in: Option<usize>) -> Router {
    let target = |number| Target {
        name: format!("sink{number}"),
        ..Target::default()
    };
    let mut routes: Vec<Route> = (0..ROUTES).map(route).collect();
    if let Some(one_in) = confirmed_one_in {
        for route in routes.iter_mut().step_by(one_in) {
            route.confirm = Some(Confirm {
                count: 2,
                within: Duration::from_secs(20),
                overlapping: Vec::new(),
            });
        }
    }
    Router::new((0..SINKS).map(target).collect(), routes)
}

fn route(number: usize) -> Route {
    let first = number * CAMERAS / ROUTES;
    let named = Match {
        cameras: (first..first + 10)
            .map(|camera| format!("Camera {camera}"))
            .collect(),
        ..Match::default()
    };
    let matches = match number % 4 {
        0 => named,
        1 => Match {
            cameras: vec![format!("Camera {number}*")],
            score_below: Some(-3.0),
            ..Match::default()
        },
        2 => Match {
            areas: vec![format!("*{number}?")],
            not: vec![named],
            ..Match::default()
        },
        _ => Match {
            any: vec![
                named,
                Match {
                    severity: Some(Severity::Critical),
                    areas: vec![format!("Area {number}")],
                    ..Match::default()
                },
            ],
            ..Match::default()
        },
    };
    Route {
        name: format!("route {number}"),
        matches,
        sinks: vec![
            format!("sink{}", number % SINKS),
            format!("sink{}", (number + 1) % SINKS),
        ],
        delay: None,
        stop: false,
        confirm: None,
        group: None,
        policy: None,
        repeat: None,
    }
}

fn alert(camera: usize) -> Alert {
    Alert {
        camera: Some(Camera {
            id: format!("{camera:08x}-0000-4000-8000-000000000000"),
            name: Some(format!("Camera {camera}")),
            area: Some(format!("Area {}", camera / 10)),
        }),
        severity: Severity::High,
        details: Details {
            score: Some(-4.0),
            ..Details::default()
        },
        visionguard: Some(VisionGuard::default()),
        ..Alert::new(AlertId(1_000_000), AlertKind::Anomaly, "main", UnixMillis(1_000))
    }
}
