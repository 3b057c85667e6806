//! What can be done to a site in a scenario, and how it is written.

use std::time::Duration;

use watchpost_config::TimeSpan;
use watchpost_core::{Actor, AlertKind, ArmingCommand, Mode, Panic, SilenceCommand, SilenceId, SilenceMatch};

/// One of these.
pub enum Act {
    /// `Back door`, or with `, score -4`, `, person 7`, `, kind owl_eye`, `, over yard`, `, happened Fri 21:00`, `, from the list`: a
    /// camera has seen something.
    Seen(Seen),
    /// `arm away`, or with `, area Yard` and `, force`; `disarm`, `postpone 30m`, `test 1h`, `test over`, `forget` what has triggered areas.
    Arming(ArmingCommand),
    /// `panic`, or with `, area Yard`, `, silent` and `, why robbery`: a person needs help.
    Panic(Panic),
    /// `silence camera=Back*, for 2h`, or with further conditions and `, why painters`; `extend silence 1, for 4h`, `end silence 1`.
    Silence(SilenceCommand),
    /// `acknowledge Back door`, or with `, at phone`: its last alert. `dismiss Back door` and `clear` likewise.
    Acknowledge(InHand),
    /// `fault main: refused`: a connection or a sink does not work. `well main`: it does again.
    Fault(String, Option<String>),
    /// `phone refuses all`: a sink makes no delivery any more. `phone takes all`: it does again.
    Refuses(String, bool),
    /// `power off`: the hub does not run until `power on`.
    Power(bool),
    /// `clock Fri 22:30`: the clock is set to this.
    Clock(String),
    /// `reload`, and the title of the site whose configuration counts from then on.
    Reload(String),
    /// `lose the database`: and the file beside it.
    Lose,
    /// `nothing`: time goes by.
    Nothing,
}

#[derive(Default)]
pub struct Seen {
    pub camera: String,
    pub score: Option<f64>,
    pub person: i64,
    pub kind: Option<AlertKind>,
    pub over: Option<String>,
    pub happened: Option<String>,
    pub listed: bool,
}

/// What a person has acknowledged: the last alert of a camera, which stays listed or does not, or all.
pub enum InHand {
    /// Where, if a sink is named.
    Listed(String, Option<String>),
    Dismissed(String),
    Cleared,
}

impl Act {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(", ");
        let first = parts.next().unwrap_or_default();
        let (word, rest) = first.split_once(' ').unwrap_or((first, ""));
        let options: Vec<&str> = parts.collect();
        let by = Actor::Operator;
        let areas = || options_of(&options, "area");
        let at = || options_of(&options, "at").pop();
        Ok(match (word, rest) {
            ("nothing", "") => Self::Nothing,
            ("arm", mode) => Self::Arming(ArmingCommand::Arm {
                mode: from_word::<Mode>(mode)?,
                areas: areas(),
                force: options.contains(&"force"),
                by,
            }),
            ("disarm", "") => Self::Arming(ArmingCommand::Disarm { areas: areas(), by }),
            ("postpone", lasts) => Self::Arming(ArmingCommand::Postpone {
                areas: areas(),
                lasts: span(lasts)?,
                by,
            }),
            ("test", lasts) => Self::Arming(ArmingCommand::Test {
                areas: areas(),
                lasts: if lasts == "over" { None } else { Some(span(lasts)?) },
                by,
            }),
            ("forget", "") => Self::Arming(ArmingCommand::Seen { areas: areas() }),
            ("panic", "") => Self::Panic(Panic {
                areas: areas(),
                silent: options.contains(&"silent"),
                why: options_of(&options, "why").pop(),
                by,
            }),
            ("silence", condition) => Self::Silence(SilenceCommand::Begin {
                matches: Box::new(conditions(
                    std::iter::once(condition).chain(options.iter().copied()),
                )?),
                lasts: span(&options_of(&options, "for").concat())?,
                why: options_of(&options, "why")
                    .pop()
                    .unwrap_or_else(|| "painters".to_owned()),
                by,
            }),
            ("extend", rest) => Self::Silence(SilenceCommand::Extend {
                id: silence(rest)?,
                lasts: span(&options_of(&options, "for").concat())?,
            }),
            ("end", rest) => Self::Silence(SilenceCommand::End {
                id: silence(rest)?,
                by,
            }),
            ("acknowledge", camera) => Self::Acknowledge(InHand::Listed(camera.to_owned(), at())),
            (sink, "refuses all" | "takes all") => Self::Refuses(sink.to_owned(), rest == "refuses all"),
            ("dismiss", camera) => Self::Acknowledge(InHand::Dismissed(camera.to_owned())),
            ("clear", "") => Self::Acknowledge(InHand::Cleared),
            ("fault", what) => {
                let (part, why) = what.split_once(": ").ok_or("expected `fault PART: WHY`")?;
                Self::Fault(part.to_owned(), Some(why.to_owned()))
            }
            ("well", part) => Self::Fault(part.to_owned(), None),
            ("power", "off") => Self::Power(false),
            ("power", "on") => Self::Power(true),
            ("clock", shown) => Self::Clock(shown.to_owned()),
            ("reload", site) => Self::Reload(site.to_owned()),
            ("lose", "the database") => Self::Lose,
            _ => Self::Seen(seen(first, &options)?),
        })
    }
}

fn seen(camera: &str, options: &[&str]) -> Result<Seen, String> {
    let mut seen = Seen {
        camera: camera.to_owned(),
        ..Seen::default()
    };
    for option in options {
        match option.split_once(' ').unwrap_or((option, "")) {
            ("score", score) => seen.score = Some(score.parse().map_err(|_| "no score")?),
            ("person", person) => seen.person = person.parse().map_err(|_| "no person")?,
            ("kind", kind) => seen.kind = Some(from_word(kind)?),
            ("over", connection) => seen.over = Some(connection.to_owned()),
            ("happened", shown) => seen.happened = Some(shown.to_owned()),
            ("from", "the list") => seen.listed = true,
            _ => return Err(format!("no option of what a camera sees: {option}")),
        }
    }
    Ok(seen)
}

/// What the options of this name say.
fn options_of(options: &[&str], name: &str) -> Vec<String> {
    let values = options.iter().filter_map(|option| option.split_once(' '));
    values
        .filter(|(word, _)| *word == name)
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// The conditions among these, which are written as `KEY=VALUE`.
fn conditions<'a>(words: impl Iterator<Item = &'a str>) -> Result<SilenceMatch, String> {
    let mut table = serde_json::Map::new();
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        if key == "severity_at_most" {
            table.insert(key.to_owned(), value.into());
            continue;
        }
        let list = table.entry(key).or_insert_with(|| Vec::<String>::new().into());
        list.as_array_mut().ok_or("no list")?.push(value.into());
    }
    serde_json::from_value(table.into()).map_err(|e| e.to_string())
}

fn silence(text: &str) -> Result<SilenceId, String> {
    let number = text.strip_prefix("silence ").unwrap_or(text);
    number.parse().map_err(|_| format!("no silence: {text}"))
}

fn span(text: &str) -> Result<Duration, String> {
    let span: TimeSpan = text.parse().map_err(|_| format!("no duration: {text}"))?;
    Ok(span.into())
}

fn from_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, String> {
    serde_json::from_value(word.into()).map_err(|e| e.to_string())
}
