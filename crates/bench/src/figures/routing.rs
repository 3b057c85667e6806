//! What routing costs an alert where there are very many routes. The step is pure, so it is asked in this process.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use watchpost_core::{Alert, AlertId, AlertKind, Camera, Details, Match, Route, Router, RoutingEvent};
use watchpost_core::{RoutingState, Severity, Target, UnixMillis, VisionGuard};

use crate::report::Figure;

const ROUTES: usize = 200;
const CAMERAS: usize = 1_000;
const SINKS: usize = 10;

/// Routing one alert may take this long, in microseconds.
const TARGET_US: f64 = 50.0;

/// Each camera raises so many alerts.
const ALERTS_A_CAMERA: usize = 100;

/// Measures the group.
pub(super) fn measure() -> Result<Vec<Figure>> {
    let router = router();
    let alerts: Vec<Alert> = (0..CAMERAS).map(alert).collect();
    let (state, now) = (RoutingState::default(), UnixMillis(1_000_000));
    let mut deliveries = 0;
    let begun = Instant::now();
    for _ in 0..ALERTS_A_CAMERA {
        for alert in &alerts {
            let effects = router.step(now, &state, RoutingEvent::Alert(black_box(alert)));
            deliveries += black_box(effects).deliveries.len();
        }
    }
    let events = (CAMERAS * ALERTS_A_CAMERA) as f64;
    let us = begun.elapsed().as_secs_f64() * 1e6 / events;
    let figure = Figure::at_most("routing_us", us, "µs", TARGET_US)
        .with("routes", ROUTES as f64)
        .with("cameras", CAMERAS as f64)
        .with("deliveries_an_alert", deliveries as f64 / events);
    Ok(vec![figure])
}

/// Routes of all sorts: by lists of names, by patterns, by score, with alternatives and exceptions.
fn router() -> Router {
    let target = |number| Target {
        name: format!("sink{number}"),
        ..Target::default()
    };
    Router::new((0..SINKS).map(target).collect(), (0..ROUTES).map(route).collect())
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
