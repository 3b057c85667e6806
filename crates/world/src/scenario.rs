//! What happens to a world, as a list of acts with their times: made from a seed, written to a file, and shortened.

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// Faults come in so many spells of the hour; each is followed by a time in which all is well, and looked over.
const SPELLS: u32 = 4;

/// How long one is.
const SPELL: Duration = Duration::from_secs(14 * 60);

/// Alerts in a spell, and faults.
const ALERTS: std::ops::RangeInclusive<u32> = 34..=90;
const FAULTS: std::ops::RangeInclusive<u32> = 4..=8;

/// Alerts that come while the line is slow, beside the others.
const CROWD: std::ops::RangeInclusive<u32> = 10..=40;

/// The names of the sinks: what makes noise, and what writes.
pub const SINKS: [&str; 2] = ["siren", "mail"];

/// How a sink is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    #[default]
    Well,
    /// What it delivers to is down.
    Down,
    Slow,
    /// It takes calls and ends none.
    Hangs,
    /// It crashes over each call.
    Crashes,
    /// It refuses each call for good.
    Refuses,
}

/// Where in a commit the hub's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before anything is written.
    Before,
    /// When its pictures are written and its rows are not.
    Within,
    /// When it is on disk, and no one else knows of it.
    After,
}

/// In one of so many worlds some alerts have an infinite score, and then one of so many alerts.
const INFINITE_WORLDS: u8 = 3;
const INFINITE_ALERTS: u8 = 16;

/// How far from UTC the backends are.
const ZONES: [i8; 6] = [0, 0, 0, 0, 9, -7];

/// What a sink gets of what came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    #[default]
    Each,
    Digest,
    Drop,
}

impl Late {
    /// As it is written in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Digest => "digest",
            Self::Drop => "drop",
        }
    }
}

/// How a world is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The hub's account does not open the streams.
    pub second_account: bool,
    /// Whether the hub tells the backend what was acknowledged.
    pub write_back: bool,
    /// Alerts have ids of their own, and their receipts name them.
    pub ids: bool,
    /// A shop of the account can never be read.
    pub bad_shop: bool,
    /// The hub has a connection for each of the two accounts, which see the same shops.
    pub both_accounts: bool,
    /// What each sink gets of what came late.
    #[serde(default)]
    pub late: [Late; SINKS.len()],
    /// By how many hours the backend's own time is ahead of UTC, which its rows say; 0 if they say nothing, and are in UTC.
    #[serde(default)]
    pub zone_hours: i8,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Of what is random beside the acts.
    pub seed: u64,
    pub setup: Setup,
    pub spells: Vec<Vec<Timed>>,
}

/// An act and when it comes, in milliseconds from the beginning of its spell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    pub at_ms: u64,
    pub act: Act,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A camera sees something. The backend cannot show the row of what has an infinite score.
    Alert { stream: usize, infinite: bool },
    /// All connections are reset.
    Reset,
    /// All connections are forgotten on the way.
    Sever,
    /// Nothing arrives.
    Hole { ms: u64 },
    /// Nothing arrives over the connections that are open, while those that are opened later are well.
    Stuck { ms: u64 },
    /// The line is slow.
    Slow {
        bytes_per_second: u64,
        latency_ms: u64,
        ms: u64,
    },
    /// The backend's process ends and is started again.
    Restart { ms: u64 },
    /// The backend does nothing.
    Freeze { ms: u64 },
    /// The backend's database does not answer.
    DatabaseDown { ms: u64 },
    /// A browser opens the socket of the hub's user, and leaves.
    Rival { ms: u64 },
    /// It is reloaded again and again.
    Reloads { times: u64, every_ms: u64 },
    /// Another hub logs in with the hub's account, and is switched off again.
    SecondHub { ms: u64 },
    /// The backend forgets the hub's socket, which stays open.
    Deregister,
    /// The backend neither reads the hub's socket nor says anything on it.
    Deaf,
    /// Alerts go to another process.
    Mute { ms: u64 },
    /// Notifications come after those of the next alert.
    Reorder { ms: u64 },
    /// The backend does not give its pictures: it answers 500, or ends the connection without an answer.
    PicturesFail { cut: bool, ms: u64 },
    /// All tokens are refused from now on.
    RevokeTokens,
    /// The hub's user is deleted and made again, with another id.
    RemakeUser,
    /// A shop cannot be read.
    ShopUnreadable { shop: usize, ms: u64 },
    /// The backend's clock is off.
    BackendClock { ahead_ms: i64, ms: u64 },
    /// The wall clock of the hub's machine is set.
    HubClock { by_ms: i64 },
    /// A person judges the newest rows in the backend.
    Verdict { rows: usize },
    /// The operator of the hub dismisses all.
    Clear,
    /// The operator does not want to hear of a stream, or of all; at a sink, or at all.
    Silence {
        stream: Option<usize>,
        sink: Option<usize>,
        ms: u64,
    },
    /// The hub's process is killed and started again.
    Kill { ms: u64 },
    /// The machine loses its power.
    PowerCut { ms: u64 },
    /// The same in the middle of the next commit.
    KillAtCommit {
        point: Point,
        loses_unsynced: bool,
        ms: u64,
    },
    /// The hub's process gets no time.
    Stall { ms: u64 },
    /// The disk is full.
    DiskFull { ms: u64 },
    /// A sink is not well.
    Sink { sink: usize, mood: Mood, ms: u64 },
}

impl Act {
    /// Whether it is no fault but what a camera sees.
    pub fn is_alert(&self) -> bool {
        matches!(self, Self::Alert { .. })
    }
}

impl Scenario {
    /// The scenario of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let late = |random: &mut Rng| [Late::Each, Late::Digest, Late::Drop][random.usize(..3)];
        let setup = Setup {
            second_account: random.u8(..5) == 0,
            write_back: random.bool(),
            ids: random.bool(),
            bad_shop: random.u8(..4) == 0,
            both_accounts: random.u8(..5) == 0,
            late: [late(&mut random), late(&mut random)],
            zone_hours: ZONES[random.usize(..ZONES.len())],
        };
        let kind = Kind {
            clocks: random.u8(..3) == 0,
            infinite: random.u8(..INFINITE_WORLDS) == 0,
        };
        let spells = (0..SPELLS).map(|_| spell(&mut random, kind)).collect();
        Self { seed, setup, spells }
    }

    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.spells.iter().flatten().map(|timed| &timed.act)
    }

    /// Whether the clock of the hub's machine is set in it.
    pub fn sets_hub_clock(&self) -> bool {
        self.acts().any(|act| matches!(act, Act::HubClock { .. }))
    }

    /// Whether any clock is: then times say little.
    pub fn sets_clocks(&self) -> bool {
        let is_off = |act: &Act| matches!(act, Act::BackendClock { .. });
        self.sets_hub_clock() || self.acts().any(is_off)
    }

    /// The same without the act at this place.
    pub fn without(&self, spell: usize, acts: std::ops::Range<usize>) -> Self {
        let mut shorter = self.clone();
        shorter.spells[spell].drain(acts);
        shorter
    }
}

/// What happens in a world only if it happens often.
#[derive(Clone, Copy)]
struct Kind {
    /// Clocks are wrong.
    clocks: bool,
    /// Scores are infinite.
    infinite: bool,
}

fn spell(random: &mut Rng, kind: Kind) -> Vec<Timed> {
    let length = SPELL.as_millis() as u64;
    let mut acts = Vec::new();
    let mut left = random.u32(ALERTS);
    while left > 0 {
        // A person who walks by raises some in a row.
        let (count, mut at_ms, stream) = (
            random.u32(1..=6).min(left),
            random.u64(..length),
            random.usize(..3),
        );
        left -= count;
        for _ in 0..count {
            acts.push(Timed {
                at_ms,
                act: Act::Alert {
                    stream,
                    infinite: kind.infinite && random.u8(..INFINITE_ALERTS) == 0,
                },
            });
            at_ms += random.u64(..3_000);
        }
    }
    for _ in 0..random.u32(FAULTS) {
        let at_ms = random.u64(..length);
        let act = fault(random, kind.clocks);
        acts.extend(company(random, kind, at_ms, &act));
        acts.push(Timed { at_ms, act });
    }
    acts.sort_by_key(|timed| timed.at_ms);
    acts
}

/// What comes with a fault at times, because only both together are hard.
fn company(random: &mut Rng, kind: Kind, at_ms: u64, act: &Act) -> Vec<Timed> {
    let one = |at_ms, act| vec![Timed { at_ms, act }];
    let chance = random.u8(..4);
    match *act {
        // Two persons judge at the same time, one there and one here.
        Act::Verdict { .. } if chance < 2 => one(at_ms.saturating_sub(random.u64(..20_000)), Act::Clear),
        // Without alerts from the list no picture is fetched.
        Act::PicturesFail { ms, .. } => one(at_ms, Act::Mute { ms }),
        // Something waits to be tried again.
        Act::HubClock { .. } if chance < 2 => {
            let (sink, ms) = (random.usize(..SINKS.len()), between(random, 20_000.0, 300_000.0));
            let mood = Mood::Down;
            one(
                at_ms.saturating_sub(random.u64(..ms)),
                Act::Sink { sink, mood, ms },
            )
        }
        // What was missed has just been fetched, and not all of it has gone on its way.
        Act::Hole { ms } | Act::Restart { ms } | Act::Freeze { ms } | Act::Mute { ms } if chance == 0 => {
            let ends = at_ms + ms + random.u64(..60_000);
            one(
                ends,
                Act::Kill {
                    ms: random.u64(100..20_000),
                },
            )
        }
        // The list grows while it is read.
        Act::Slow { ms, .. } if chance < 2 => {
            let mut crowd = Vec::new();
            for _ in 0..random.u32(CROWD) {
                let (stream, infinite) = (random.usize(..3), kind.infinite && random.u8(..4) == 0);
                let act = Act::Alert { stream, infinite };
                crowd.push(Timed {
                    at_ms: at_ms + random.u64(..=ms),
                    act,
                });
            }
            crowd
        }
        _ => Vec::new(),
    }
}

/// Times are of all orders of magnitude between these two.
fn between(random: &mut Rng, from_ms: f64, to_ms: f64) -> u64 {
    (from_ms * (to_ms / from_ms).powf(random.f64())) as u64
}

fn fault(random: &mut Rng, clocks: bool) -> Act {
    let short = between(random, 100.0, 20_000.0);
    let long = between(random, 2_000.0, 300_000.0);
    match random.u8(..if clocks { 31 } else { 29 }) {
        0 => Act::Reset,
        1 => Act::Sever,
        2 | 3 => Act::Hole { ms: long },
        4 => Act::Slow {
            bytes_per_second: between(random, 2_000.0, 500_000.0),
            latency_ms: between(random, 10.0, 3_000.0),
            ms: long,
        },
        5 | 6 => Act::Restart { ms: long },
        7 => Act::Freeze { ms: long },
        8 => Act::DatabaseDown { ms: long },
        9 => Act::Rival { ms: long },
        10 => Act::Reloads {
            times: random.u64(1..6),
            every_ms: between(random, 500.0, 60_000.0),
        },
        11 => Act::Deregister,
        12 => Act::Deaf,
        13 => Act::Mute { ms: long },
        14 => Act::Reorder { ms: long },
        15 => match random.bool() {
            true => Act::RevokeTokens,
            false => Act::RemakeUser,
        },
        16 => Act::ShopUnreadable {
            shop: random.usize(..2),
            ms: long,
        },
        17 => Act::Verdict {
            rows: random.usize(1..10),
        },
        18 => Act::Clear,
        number => fault_of_hub(random, number, short, long),
    }
}

/// Those of the hub and its sinks, and what has come to the list later.
fn fault_of_hub(random: &mut Rng, number: u8, short: u64, long: u64) -> Act {
    match number {
        19 => Act::Kill { ms: short },
        20 => match random.bool() {
            true => Act::PowerCut { ms: short },
            false => Act::Stall { ms: long },
        },
        21 | 22 => Act::KillAtCommit {
            point: [Point::Before, Point::Within, Point::After][random.usize(..3)],
            loses_unsynced: random.bool(),
            ms: short,
        },
        23 => Act::DiskFull { ms: long },
        24 => Act::Sink {
            sink: random.usize(..SINKS.len()),
            mood: [Mood::Down, Mood::Slow, Mood::Hangs, Mood::Crashes][random.usize(..4)],
            ms: long,
        },
        25 => Act::SecondHub { ms: long },
        26 => Act::Silence {
            stream: random.bool().then(|| random.usize(..3)),
            sink: random.bool().then(|| random.usize(..SINKS.len())),
            ms: long,
        },
        27 => Act::Stuck {
            ms: between(random, 5_000.0, 100_000.0),
        },
        28 => Act::PicturesFail {
            cut: random.bool(),
            ms: long,
        },
        29 => Act::BackendClock {
            ahead_ms: between(random, 1_000.0, 7_200_000.0) as i64 * if random.bool() { 1 } else { -1 },
            ms: long,
        },
        _ => Act::HubClock {
            by_ms: between(random, 100.0, 86_400_000.0) as i64 * if random.bool() { 1 } else { -1 },
        },
    }
}
