//! An alert that has not happened, as a person describes it: on the command line, or in a table of cases.

use clap::Args;
use serde::Deserialize;
use watchpost_config::{CameraSettings, ConnectionKind, Settings, TimeZone, not_there};
use watchpost_core::{
    About, Actor, Alert, AlertId, AlertKind, ArmedWord, Camera, Confidence, Details, HUB, Mode, Panic,
    Severity, UNKNOWN, UnixMillis, Via, VisionGuard,
};
use watchpost_hub::Circumstances;

use crate::values;

/// What the alert would be like. What is not said is as it mostly is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[group(id = "sample", multiple = true)]
pub(crate) struct Sample {
    /// The camera that sees it, by the name that a `[[camera]]` gives it.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// The id of the camera's stream.
    #[arg(long, value_name = "ID")]
    stream: Option<String>,
    /// The connection that it comes over. Without it, the camera's, or the first.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// The kind of the alert: anomaly, `owl_eye`, notice, hub, panic or tamper. Without it, anomaly.
    #[arg(long, value_parser = values::word::<AlertKind>)]
    kind: Option<AlertKind>,
    /// Its score, such as -2.5: the lower the more abnormal.
    #[arg(long, allow_negative_numbers = true)]
    score: Option<f64>,
    /// The severity that its source gives it. Without it, low, which the score may raise.
    #[arg(long, value_parser = values::word::<Severity>)]
    severity: Option<Severity>,
    /// The source's word for its state; of an internal event the word that stands for it.
    #[arg(long, value_name = "WORD")]
    status: Option<String>,
    /// How sure the source is, as a word or as a number.
    #[arg(long, value_name = "WORD")]
    confidence: Option<String>,
    /// The person, as the backend's tracker numbers them.
    #[arg(long, value_name = "NUMBER")]
    person: Option<i64>,
    /// When it happens, by the site's clocks: `2026-12-24 23:10`. Without it, now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How the areas are armed then: home, away, night or disarmed. Without it, disarmed.
    #[arg(long, value_name = "MODE", value_parser = values::word::<ArmedWord>)]
    armed: Option<ArmedWord>,
    /// That other cameras confirm it, where a route asks for that (`confirm`).
    #[arg(long)]
    confirmed: bool,
    /// The connection that is away then, for what inhibits (`[[inhibit]]`).
    #[arg(long, value_name = "NAME")]
    away: Option<String>,
}

impl Sample {
    /// What is the case when it happens.
    ///
    /// # Errors
    /// When it is said how areas are armed, and there are none.
    pub(crate) fn circumstances(&self, settings: &Settings) -> Result<Circumstances, String> {
        Ok(Circumstances {
            armed: self.armed(settings)?,
            confirmed: self.confirmed,
            away: self.away.clone(),
        })
    }

    /// How the areas are armed.
    ///
    /// # Errors
    /// When there are none.
    fn armed(&self, settings: &Settings) -> Result<Option<Mode>, String> {
        let Some(armed) = self.armed else { return Ok(None) };
        if settings.area.is_empty() {
            return Err("`armed` says how areas are armed, and there is no [[area]]".to_owned());
        }
        Ok(armed.mode())
    }

    /// The alert, if the configuration has what it names.
    ///
    /// # Errors
    /// What is wrong with the description, in a sentence.
    pub(crate) fn alert(&self, settings: &Settings, now: UnixMillis) -> Result<Alert, String> {
        let at = match &self.at {
            Some(text) => time(text, &settings.hub.time_zone())?,
            None => now,
        };
        let kind = self.kind.unwrap_or(AlertKind::Anomaly);
        let named = self.named(settings)?;
        let connection = self.connection_of(named, kind, settings)?;
        let inbound = settings
            .connection
            .iter()
            .any(|known| known.name == connection && known.kind == ConnectionKind::Inbound);
        let camera = self.camera_of(named, kind, settings);
        let title = match (&camera, kind) {
            (Some(camera), AlertKind::Tamper) => format!("Tamper at {}", camera.label()),
            (Some(camera), _) => format!("Anomaly at {}", camera.label()),
            (None, kind) => format!("An alert of kind {kind}"),
        };
        if self.score.is_some_and(|score| !score.is_finite()) {
            return Err("the score must be a number such as -2.5".to_owned());
        }
        Ok(Alert {
            occurred_at: Some(at),
            via: if inbound { Via::Inbound } else { Via::Live },
            severity: self.severity.unwrap_or(Severity::Low),
            title,
            details: Details {
                status: self.status.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
                confidence: self.confidence.as_deref().map(confidence),
                score: self.score,
                ..Details::default()
            },
            visionguard: (!inbound && !is_internal(kind)).then(|| VisionGuard {
                person_id: self.person.unwrap_or(0),
                ..VisionGuard::default()
            }),
            about: (kind == AlertKind::Hub).then(|| About {
                connection: self.connection.clone(),
                camera: self.camera.clone(),
                area: camera.as_ref().and_then(|camera| camera.area.clone()),
                ..About::default()
            }),
            camera,
            panic: (kind == AlertKind::Panic).then(|| Panic {
                areas: Vec::new(),
                silent: false,
                by: Actor::Operator,
                why: None,
            }),
            ..Alert::new(
                AlertId(u64::try_from(at.0).unwrap_or(0) * 1_000),
                kind,
                connection,
                at,
            )
        })
    }

    /// The settings of the camera that is named.
    fn named<'a>(&self, settings: &'a Settings) -> Result<Option<&'a CameraSettings>, String> {
        let Some(name) = &self.camera else { return Ok(None) };
        let known = settings.camera.iter().find(|camera| camera.name == *name);
        // Other programs may post alerts of cameras that no `[[camera]]` names.
        match known {
            None if settings.listen().is_none() => Err(not_there(
                "camera",
                name,
                settings.camera.iter().map(|camera| camera.name.as_str()),
            )),
            known => Ok(known),
        }
    }

    fn connection_of(
        &self,
        camera: Option<&CameraSettings>,
        kind: AlertKind,
        settings: &Settings,
    ) -> Result<String, String> {
        if is_internal(kind) {
            return Ok(HUB.to_owned());
        }
        let names = || {
            settings
                .connection
                .iter()
                .map(|connection| connection.name.as_str())
        };
        let Some(wanted) = &self.connection else {
            let own = camera.and_then(|camera| camera.matches.connection.first().map(String::as_str));
            return Ok(own.or_else(|| names().next()).unwrap_or_default().to_owned());
        };
        match names().any(|name| name == wanted) {
            true => Ok(wanted.clone()),
            false => Err(not_there("connection", wanted, names())),
        }
    }

    fn camera_of(
        &self,
        named: Option<&CameraSettings>,
        kind: AlertKind,
        settings: &Settings,
    ) -> Option<Camera> {
        if self.camera.is_none() && self.stream.is_none() && is_internal(kind) {
            return None;
        }
        Some(Camera {
            id: self.stream.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            name: self.camera.clone(),
            area: match named {
                Some(camera) => settings.area_of(camera),
                None => self
                    .camera
                    .as_deref()
                    .and_then(|name| settings.area_book().find(name).map(str::to_owned)),
            },
        })
    }
}

/// Whether the hub makes such alerts itself, and they come over no connection.
fn is_internal(kind: AlertKind) -> bool {
    matches!(kind, AlertKind::Hub | AlertKind::Panic)
}

fn confidence(text: &str) -> Confidence {
    text.parse()
        .map_or_else(|_| Confidence::Word(text.to_owned()), Confidence::Number)
}

fn time(text: &str, zone: &TimeZone) -> Result<UnixMillis, String> {
    zone.read(text)
        .map(UnixMillis)
        .ok_or_else(|| format!("`{text}` is not a time such as `2026-12-24 23:10`"))
}
