//! The faults one can ask for and how they are written: `drop=0.01,freeze=30s@0.001`.
//! It knows their names and chances; what each does to a socket is done where the socket is.

use std::{str::FromStr, time::Duration};

use crate::Error;

/// Faults and their chances, each 0 (never) to 1 (always).
///
/// Written as `name=chance` separated by commas; `freeze` is written `freeze=DURATION@chance`
/// with a duration like `500ms`, `30s` or `2m`. A name given twice is refused.
///
/// | name | chance per | what happens |
/// |---|---|---|
/// | `drop` | alert | it is recorded (REST shows it) but not sent, as if no client had been registered |
/// | `duplicate` | alert | it is sent twice |
/// | `garbage` | alert | a message that cannot be understood is sent before it |
/// | `badframe` | alert | its picture is not base64, not JPEG, cut short or empty |
/// | `infinity` | alert | its score is `-Infinity`, which is not JSON |
/// | `fragment` | alert | it is sent in several WebSocket frames |
/// | `cut` | alert | the TCP connection is reset after it |
/// | `close` | alert | the socket is closed with 1012 after it |
/// | `freeze` | alert | after it the server neither reads nor writes for the duration |
/// | `drop_registration` | alert | after it the user is deregistered: pings go on, alerts do not come |
/// | `blackhole` | alert | after it the sockets stay open and nothing is sent any more |
/// | `mute` | notification | it is not sent |
/// | `tardy` | notification | it comes after that of the next alert |
/// | `reject` | handshake | refused with 403 |
/// | `error` | handshake | refused with 500 |
/// | `bounce` | handshake | accepted and closed at once |
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the table above describes each of them")]
pub struct Faults {
    pub drop: f64,
    pub duplicate: f64,
    pub garbage: f64,
    pub badframe: f64,
    pub infinity: f64,
    pub fragment: f64,
    pub cut: f64,
    pub close: f64,
    pub freeze: Option<Freeze>,
    pub drop_registration: f64,
    pub blackhole: f64,
    pub mute: f64,
    pub tardy: f64,
    pub reject: f64,
    pub error: f64,
    pub bounce: f64,
}

/// A stop of the whole server for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Freeze {
    /// How long nothing is read or written.
    pub duration: Duration,
    /// Chance per alert.
    pub chance: f64,
}

/// Names as they are written, in the order of the table.
const NAMES: [&str; 16] = [
    "drop",
    "duplicate",
    "garbage",
    "badframe",
    "infinity",
    "fragment",
    "cut",
    "close",
    "freeze",
    "drop_registration",
    "blackhole",
    "mute",
    "tardy",
    "reject",
    "error",
    "bounce",
];

impl FromStr for Faults {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let mut faults = Self::default();
        let mut seen = Vec::new();
        for entry in input.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let refuse = |reason: String| Error::Fault {
                entry: entry.to_owned(),
                reason,
            };
            let (name, value) = entry
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
                .ok_or_else(|| refuse("expected name=chance, like drop=0.01".to_owned()))?;
            if seen.contains(&name) {
                return Err(refuse(format!("{name} is given twice")));
            }
            seen.push(name);
            faults.set(name, value).map_err(refuse)?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name == "freeze" {
            let (duration, chance) = value
                .split_once('@')
                .ok_or("expected freeze=DURATION@chance, like freeze=30s@0.001")?;
            self.freeze = Some(Freeze {
                duration: parse_duration(duration)?,
                chance: parse_chance(chance)?,
            });
            return Ok(());
        }
        let field = match name {
            "drop" => &mut self.drop,
            "duplicate" => &mut self.duplicate,
            "garbage" => &mut self.garbage,
            "badframe" => &mut self.badframe,
            "infinity" => &mut self.infinity,
            "fragment" => &mut self.fragment,
            "cut" => &mut self.cut,
            "close" => &mut self.close,
            "drop_registration" => &mut self.drop_registration,
            "blackhole" => &mut self.blackhole,
            "mute" => &mut self.mute,
            "tardy" => &mut self.tardy,
            "reject" => &mut self.reject,
            "error" => &mut self.error,
            "bounce" => &mut self.bounce,
            _ => return Err(format!("there is no such fault; known are {}", NAMES.join(", "))),
        };
        *field = parse_chance(value)?;
        Ok(())
    }
}

fn parse_chance(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(chance) if (0.0..=1.0).contains(&chance) => Ok(chance),
        _ => Err(format!(
            "{text:?} is no chance: expected a number from 0 (never) to 1 (always)"
        )),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("{text:?} is no duration: expected a number with its unit, like 500ms, 30s or 2m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.checked_mul(60).ok_or_else(refuse)?)),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn refused(input: &str, expected: Expect) {
        expected.assert_eq(&input.parse::<Faults>().unwrap_err().to_string());
    }

    #[test]
    fn a_list_is_read() {
        let faults: Faults = "drop=0.01, freeze=30s@0.001,garbage=0.05,reject=1"
            .parse()
            .unwrap();
        let freeze = Some(Freeze {
            duration: Duration::from_secs(30),
            chance: 0.001,
        });
        assert_eq!(
            faults,
            Faults {
                drop: 0.01,
                freeze,
                garbage: 0.05,
                reject: 1.0,
                ..Faults::default()
            }
        );
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
    }

    #[test]
    fn every_name_of_the_table_is_known() {
        for name in NAMES {
            let value = if name == "freeze" { "1s@0.5" } else { "0.5" };
            let faults: Faults = format!("{name}={value}").parse().unwrap();
            assert_ne!(faults, Faults::default(), "{name} changed nothing");
        }
    }

    #[test]
    fn refusals_teach() {
        refused(
            "dorp=0.1",
            expect![[
                r#"fault "dorp=0.1": there is no such fault; known are drop, duplicate, garbage, badframe, infinity, fragment, cut, close, freeze, drop_registration, blackhole, mute, tardy, reject, error, bounce"#
            ]],
        );
        refused(
            "drop=7",
            expect![[r#"fault "drop=7": "7" is no chance: expected a number from 0 (never) to 1 (always)"#]],
        );
        refused(
            "drop",
            expect![[r#"fault "drop": expected name=chance, like drop=0.01"#]],
        );
        refused(
            "freeze=30s",
            expect![[r#"fault "freeze=30s": expected freeze=DURATION@chance, like freeze=30s@0.001"#]],
        );
        refused(
            "freeze=30@0.1",
            expect![[
                r#"fault "freeze=30@0.1": "30" is no duration: expected a number with its unit, like 500ms, 30s or 2m"#
            ]],
        );
        refused(
            "drop=0.1,drop=0.2",
            expect![[r#"fault "drop=0.2": drop is given twice"#]],
        );
    }
}
