//! Makes alerts: at the set rate, or on command. It decides what an alert says and which fault it
//! meets; it knows a socket only as a place to hand messages to, and waits when that place is full,
//! as the real backend does (a client that stops reading stops its alerts).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytestring::ByteString;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    CloseMode, Error, Faults, SentAlert,
    account::uuid_from,
    backend::{Backend, Outgoing, SendMode},
    clock,
    picture::Recipe,
    pose::Poses,
    rows::{Extra, Picture, Row, Severity, Status},
    scene::Look,
    wire::{self, Finding, Frame},
};

/// Up to this rate (alerts per second) each picture is drawn freshly, with the time on its clock.
/// Above it a few scenes per camera are used again, since drawing would limit the rate.
const MAX_FRESH_PER_SECOND: f64 = 2.0;
/// The same for alerts made in one go.
const MAX_FRESH_AT_ONCE: u64 = 4;
/// A maker that has fallen behind by more than this forgets the delay instead of catching up.
const MAX_CATCH_UP: Duration = Duration::from_secs(1);
/// Shortest sleep; shorter gaps between ticks are made up in one go, timers being this coarse.
const MIN_SLEEP: Duration = Duration::from_millis(1);
/// Frames between two alerts of a stream: the detector looks at windows of this many.
const FRAMES_PER_ALERT: u64 = 30;
/// Ids of alerts leave this many numbers to a millisecond, so that those of a restarted simulator are new.
const IDS_PER_MILLISECOND: i128 = 1_000;

/// Alerts asked for, and where to report that they are made.
pub(crate) struct Job {
    pub(crate) count: u64,
    /// Of this camera, or of all in turn.
    pub(crate) camera: Option<usize>,
    pub(crate) done: oneshot::Sender<Result<(), Error>>,
}

/// The maker of alerts.
pub(crate) struct Producer {
    backend: Arc<Backend>,
    rng: fastrand::Rng,
    /// Decides what becomes of notifications.
    notes: fastrand::Rng,
    /// Notifications that come after those of the next alert.
    held: Vec<String>,
    poses: Option<Poses>,
    streams: Vec<StreamState>,
    turn: usize,
    seq: u64,
    first_id: u64,
}

#[derive(Default, Clone, Copy)]
struct StreamState {
    pictures: u64,
    persons: u32,
}

/// One picture and what it is about.
struct Shot {
    camera: u32,
    sequence_id: u64,
    persons: Vec<u32>,
    recipe: Recipe,
    picture: bytes::Bytes,
    crc32c: u32,
}

impl Producer {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        let options = &backend.options;
        let mut rng = fastrand::Rng::with_seed(options.seed ^ 0x616c_6572_7473);
        let poses = options
            .pose
            .then(|| Poses::new(&mut rng, options.frame.width, options.frame.height));
        let millis = backend.started_at.unix_timestamp_nanos() / 1_000_000;
        Self {
            notes: fastrand::Rng::with_seed(options.seed ^ 0x006e_6f74_6573),
            held: Vec::new(),
            rng,
            poses,
            streams: vec![StreamState::default(); backend.cameras.len()],
            turn: 0,
            seq: 0,
            first_id: u64::try_from(millis * IDS_PER_MILLISECOND).unwrap_or(0),
            backend,
        }
    }

    /// Makes alerts until no handle is left to ask for any.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let options = self.backend.options.clone();
        let mut left = options.limit.unwrap_or(u64::MAX);
        let tick =
            Duration::try_from_secs_f64(f64::from(options.burst) / options.rate).unwrap_or(Duration::MAX);
        let mut due = Instant::now();
        loop {
            let timed = left > 0 && options.rate > 0.0;
            tokio::select! {
                biased;
                job = jobs.recv() => {
                    let Some(Job { count, camera, done }) = job else { return };
                    // Nobody waiting for the answer is no fault.
                    let _ = done.send(self.make(count, camera).await);
                    continue;
                }
                () = self.wait_for_turn(due), if timed => {}
            }
            let now = Instant::now();
            due = if now.duration_since(due) > MAX_CATCH_UP {
                now
            } else {
                due
            };
            due = due.checked_add(tick).unwrap_or(now + Duration::from_secs(3600));
            let count = left.min(u64::from(options.burst));
            left -= count;
            if let Err(error) = self.make(count, None).await {
                tracing::error!(%error, "no alerts any more");
                left = 0;
            }
        }
    }

    async fn wait_for_turn(&self, due: Instant) {
        let wait = due.saturating_duration_since(Instant::now());
        if wait >= MIN_SLEEP {
            tokio::time::sleep(wait).await;
        } else {
            // As fast as possible must not mean that nothing else gets its turn.
            tokio::task::yield_now().await;
        }
        let _ = self.backend.alerts.subscribe().wait_for(|on| *on).await;
        if self.backend.options.wait_for_client {
            let _ = self
                .backend
                .registered
                .subscribe()
                .wait_for(|registered| *registered)
                .await;
        }
    }

    /// Makes so many alerts, one picture after the other, of one camera or of all in turn.
    async fn make(&mut self, count: u64, camera: Option<usize>) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            let persons = left.min(u64::from(self.backend.options.persons)) as u32;
            let shot = self.shoot(persons, count, camera)?;
            for index in 0..shot.persons.len() {
                self.report(&shot, index).await;
            }
            left -= u64::from(persons);
        }
        Ok(())
    }

    fn shoot(&mut self, persons: u32, at_once: u64, camera: Option<usize>) -> Result<Shot, Error> {
        let backend = self.backend.clone();
        let options = &backend.options;
        let index = camera.unwrap_or(self.turn) % self.streams.len();
        self.turn += usize::from(camera.is_none());
        let stream = &mut self.streams[index];
        let sequence_id = stream.pictures;
        stream.pictures += 1;
        let first = stream.persons + 1;
        stream.persons += persons;
        let fresh = at_once <= MAX_FRESH_AT_ONCE && options.rate <= MAX_FRESH_PER_SECOND;
        let (moment, clock) = if fresh {
            (sequence_id as u32, backend.now().unix_timestamp())
        } else {
            // A few moments of the walk, far enough apart to be distinguishable.
            let scene = (sequence_id % u64::from(options.scenes)) as u32;
            (scene * 5, backend.started_at.unix_timestamp() + i64::from(scene))
        };
        let camera = index as u32;
        let look = Look {
            moment,
            clock,
            persons,
            boxes: options.bbox,
        };
        let recipe = Recipe {
            camera,
            look,
            seq: self.seq + 1,
            fresh,
        };
        let picture = backend.painter.alert_picture(&recipe)?;
        let crc32c = crc32c::crc32c(&picture);
        Ok(Shot {
            camera,
            sequence_id,
            persons: (first..first + persons).collect(),
            recipe,
            picture,
            crc32c,
        })
    }

    /// Sends one alert, then records it, then sends its notification: the backend's order.
    async fn report(&mut self, shot: &Shot, index: usize) {
        let backend = self.backend.clone();
        backend.thawed().await;
        let faults = &backend.state().faults.clone();
        self.seq += 1;
        let seq = self.seq;
        let finding = self.finding(shot, index);
        let anomaly_id = uuid_from(&mut self.rng);
        let id = backend.options.ids.then_some(self.first_id + seq);
        self.enter(&finding, anomaly_id, shot);

        let outbox = backend.registered_outbox();
        let dropped = self.chance(faults.drop);
        let mut delivered = false;
        if let (Some(outbox), false) = (&outbox, dropped) {
            if self.chance(faults.garbage) {
                let garbage = ByteString::from_static(wire::garbage(self.rng.usize(..)));
                let _ = outbox.send(Outgoing::Garbage(garbage)).await;
            }
            let text = ByteString::from(self.message(&finding, shot, id));
            let mode = SendMode {
                twice: self.chance(faults.duplicate),
                fragmented: self.chance(faults.fragment),
            };
            let alert = Outgoing::Alert {
                seq,
                stream: finding.stream_id,
                id,
                text,
                mode,
            };
            delivered = outbox.send(alert).await.is_ok();
        }
        if !delivered {
            backend.state().ledger.stats.unsent += 1;
        }
        let now = backend.now();
        if backend.state().database_down {
            // Neither a row nor a notification, which names one.
            backend.state().ledger.unrecorded(seq);
            return self.faults_after(faults).await;
        }
        self.record(&finding, anomaly_id, shot, now);
        if let (Some(outbox), true) = (outbox, delivered && backend.options.notifications) {
            let location = location(finding.stream_id);
            let text = wire::camera_notification(&finding, anomaly_id, &location, now);
            // Their luck is their own, so that that of the other faults stays what it was.
            let mute = self.notes.f64() < faults.mute;
            let tardy = self.notes.f64() < faults.tardy;
            let held = std::mem::take(&mut self.held);
            if tardy {
                self.held.push(text);
            } else if !mute {
                let _ = outbox.send(Outgoing::Notification(text.into())).await;
            }
            for text in held {
                let _ = outbox.send(Outgoing::Notification(text.into())).await;
            }
        }
        self.faults_after(faults).await;
    }

    fn finding(&mut self, shot: &Shot, index: usize) -> Finding {
        let camera = shot.camera;
        let frame_number = (shot.sequence_id + 1) * FRAMES_PER_ALERT;
        let chance = self.backend.state().faults.infinity;
        let infinite = self.chance(chance);
        // The backend's scores are 32-bit numbers widened to 64 bits.
        let score = if infinite {
            f64::NEG_INFINITY
        } else {
            f64::from(-0.5 - self.rng.f32() * 7.5)
        };
        let wants_box = self.backend.options.bbox;
        let painter = &self.backend.painter;
        let moment = shot.recipe.look.moment;
        Finding {
            user_id: self.backend.user_id(),
            stream_id: self.backend.cameras[camera as usize].stream_id,
            shop_id: self.backend.cameras[camera as usize].shop_id,
            sequence_id: shot.sequence_id,
            person_id: shot.persons[index],
            start_frame: frame_number - FRAMES_PER_ALERT + 1,
            frame_number,
            score,
            bbox: wants_box
                .then(|| painter.person_box(camera, moment, index as u32))
                .flatten(),
        }
    }

    fn message(&mut self, finding: &Finding, shot: &Shot, id: Option<u64>) -> String {
        let chance = self.backend.state().faults.badframe;
        let bad = self.chance(chance).then(|| self.rng.u8(..4));
        let pose = self.poses.as_ref().map(|poses| (poses, shot.persons.as_slice()));
        let half = &shot.picture[..shot.picture.len() / 2];
        let frame = match bad {
            None => Frame::Bytes(&shot.picture),
            Some(0) => Frame::Text("*** this is not base64 ***"),
            Some(1) => Frame::Bytes(b"GIF89a is no JPEG"),
            Some(2) => Frame::Bytes(half),
            Some(_) => Frame::Text(""),
        };
        wire::anomaly_detected(finding, pose, frame, id)
    }

    fn enter(&self, finding: &Finding, anomaly_id: Uuid, shot: &Shot) {
        self.backend.state().ledger.produced(SentAlert {
            seq: self.seq,
            stream_id: finding.stream_id,
            person_id: finding.person_id,
            anomaly_id,
            picture_len: shot.picture.len(),
            picture_crc32c: shot.crc32c,
            sent_at_ms: None,
            acknowledged_at_ms: None,
            recorded: true,
        });
    }

    fn record(&mut self, finding: &Finding, anomaly_id: Uuid, shot: &Shot, now: OffsetDateTime) {
        let person = finding.person_id;
        let row = Row {
            id: anomaly_id,
            shop_id: finding.shop_id,
            timestamp: now,
            location: location(finding.stream_id),
            severity: Severity::Low,
            status: Status::Pending,
            description: format!("Anomalous behavior detected (Person ID: {person}, Confidence: Low)"),
            picture_name: format!("{}_{:08x}.jpg", clock::file_stamp(now), self.rng.u32(..)),
            picture: Picture::Drawn(shot.recipe),
            anomaly_type: "suspicious_behavior",
            confidence_score: finding.score.abs(),
            resolved_by: None,
            resolved_at: None,
            notes: None,
            extra: Extra::of_camera(finding),
            updated_at: now,
        };
        self.backend.state().rows.insert(row);
    }

    /// Faults that strike after an alert.
    async fn faults_after(&mut self, faults: &Faults) {
        let backend = self.backend.clone();
        if self.chance(faults.cut) {
            backend.end_sockets(CloseMode::Reset);
        }
        if self.chance(faults.close) {
            backend.end_sockets(CloseMode::Close);
        }
        if self.chance(faults.drop_registration) {
            backend.drop_registrations(false);
        }
        if self.chance(faults.blackhole) {
            backend.drop_registrations(true);
        }
        if let Some(freeze) = faults.freeze.filter(|freeze| self.chance(freeze.chance)) {
            backend.frozen.send_replace(true);
            tokio::time::sleep(freeze.duration).await;
            backend.frozen.send_replace(false);
        }
    }

    /// Draws a number in any case, so that one fault's chance does not shift another's luck.
    fn chance(&mut self, chance: f64) -> bool {
        self.rng.f64() < chance
    }
}

/// What the backend calls the place of a stream: it knows no better.
fn location(stream_id: Uuid) -> String {
    let mut text = stream_id.to_string();
    text.truncate(8);
    format!("Stream {text}")
}
