//! Whether a delivery can last as long as the configuration says, as a plugin's schema marks it: a key with the keyword
//! `x-lasts` says how long a delivery takes, and the sink's `timeout` has to be longer by the keyword's value. What stands
//! behind the key is a duration, perhaps after a word (`on 10s`), or pulses (`pulse 500ms/500ms x 20`).

use std::time::Duration;

use serde_json::Value;
use watchpost_config::{Loaded, TimeSpan};

use super::Report;

/// The keyword.
const KEYWORD: &str = "x-lasts";

pub(super) fn check(loaded: &Loaded, number: usize, schema: &Value, report: &mut Report) {
    let sink = &loaded.settings.sink[number];
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        // A reference leads to where the keyword may stand.
        let target = property["$ref"]
            .as_str()
            .and_then(|reference| schema.pointer(reference.strip_prefix('#')?));
        let keyword = [Some(property), target]
            .into_iter()
            .flatten()
            .find_map(|node| node[KEYWORD].as_str());
        let (Some(margin), Some(text)) = (keyword.and_then(duration), sink.config[key.as_str()].as_str())
        else {
            continue;
        };
        let Some(lasts) = lasts(text) else { continue };
        let needed = TimeSpan(lasts + margin);
        if sink.timeout() >= needed {
            continue;
        }
        let pointer = format!("/sink/{number}/config/{key}");
        let message = format!(
            "{} takes {}, and the sink's `timeout` of {} ends it before",
            loaded.describe(&pointer),
            TimeSpan(lasts),
            sink.timeout()
        );
        let help = format!("write `timeout = \"{needed}\"` or more in [[sink]], or make `{key}` shorter");
        report.say(loaded.error_at(&pointer, message, Some(help)));
    }
}

fn duration(text: &str) -> Option<Duration> {
    text.trim().parse::<TimeSpan>().ok().map(Duration::from)
}

/// How long what stands there takes.
fn lasts(text: &str) -> Option<Duration> {
    let rest = text.trim().trim_start_matches("pulse ").trim_start_matches("on ");
    let Some((lengths, times)) = rest.rsplit_once('x') else {
        return duration(rest);
    };
    let (on, off) = lengths.split_once('/')?;
    let (on, off, times) = (duration(on)?, duration(off)?, times.trim().parse::<u32>().ok()?);
    Some((on + off).saturating_mul(times).saturating_sub(off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_as_long_as_their_plugin_makes_them() {
        for (text, milliseconds) in [
            ("10s", Some(10_000)),
            ("on 10s", Some(10_000)),
            ("pulse 500ms/500ms x 20", Some(19_500)),
            ("pulse 1s/250ms x 1", Some(1_000)),
            ("pulse 1s x 2", None),
            ("later", None),
        ] {
            assert_eq!(lasts(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }
}
