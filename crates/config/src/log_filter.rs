//! What `[hub] log` may say: levels, also for one part of the program only, as `tracing`'s filters have them. A word that
//! is no level would be taken for the name of a part, and silence everything else.

use crate::nearest::nearest;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Words for levels elsewhere, and the level that is meant.
const OTHER_LEVELS: [(&str, &str); 12] = [
    ("warning", "warn"),
    ("warnings", "warn"),
    ("err", "error"),
    ("fatal", "error"),
    ("critical", "error"),
    ("crit", "error"),
    ("notice", "info"),
    ("information", "info"),
    ("verbose", "debug"),
    ("fine", "debug"),
    ("all", "trace"),
    ("none", "off"),
];

/// The parts of Watchpost that write to the log.
const PARTS: [&str; 12] = [
    "watchpost",
    "watchpost_config",
    "watchpost_core",
    "watchpost_hub",
    "watchpost_simulator",
    "watchpost_sink",
    "watchpost_sinkhost",
    "watchpost_sinkhost_client",
    "watchpost_sinkhost_protocol",
    "watchpost_store",
    "watchpost_visionguard",
    "watchpost_web",
];

/// Libraries in it that do.
const LIBRARIES: [&str; 14] = [
    "actix",
    "actix_codec",
    "actix_http",
    "actix_rt",
    "actix_server",
    "actix_service",
    "actix_tls",
    "actix_web",
    "awc",
    "h2",
    "mio",
    "rustls",
    "tokio",
    "tracing",
];

/// What is wrong with a filter, and what to do.
pub(crate) fn check(filter: &str) -> Result<(), (String, String)> {
    if filter.trim().is_empty() {
        return Err((
            "is empty".to_owned(),
            "expected a level, such as `info`; `off` for no log at all".to_owned(),
        ));
    }
    let directives = filter
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty());
    for directive in directives {
        // `part[span{field}]=level`: what is in the brackets is the site's own.
        let plain = match (directive.find('['), directive.rfind(']')) {
            (Some(open), Some(close)) if open < close => {
                format!("{}{}", &directive[..open], &directive[close + 1..])
            }
            _ => directive.to_owned(),
        };
        match plain.split_once('=') {
            Some((part, level)) => {
                self::part(part.trim())?;
                self::level(level.trim())?;
            }
            None if is_level(&plain) || plain.is_empty() => {}
            // A part alone is logged from `trace` on.
            None if self::part(&plain).is_ok() => {}
            None => level(&plain)?,
        }
    }
    Ok(())
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
        || matches!(word, "0" | "1" | "2" | "3" | "4" | "5")
}

fn level(word: &str) -> Result<(), (String, String)> {
    if is_level(word) {
        return Ok(());
    }
    let small = word.to_lowercase();
    let other = OTHER_LEVELS
        .iter()
        .find(|(other, _)| *other == small)
        .map(|(_, level)| *level);
    let expected = "expected error, warn, info, debug, trace or off, also for one part, as in `info,watchpost_hub=debug`";
    let help = match other.or_else(|| nearest(word, LEVELS)) {
        Some(level) => format!("did you mean `{level}`? {expected}"),
        None => expected.to_owned(),
    };
    Err((format!("has no level `{word}`"), help))
}

fn part(word: &str) -> Result<(), (String, String)> {
    let first = word.split("::").next().unwrap_or_default();
    if PARTS.contains(&first) || LIBRARIES.contains(&first) {
        return Ok(());
    }
    let whole = format!("watchpost_{first}");
    let near = PARTS.iter().find(|part| **part == whole).copied();
    let help = match near.or_else(|| nearest(first, PARTS.iter().chain(&LIBRARIES).copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its parts are {}", PARTS.join(", ")),
    };
    Err((
        format!("names a part `{word}` that the program does not have"),
        help,
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn filters_of_levels_and_parts_pass() {
        for filter in [
            "info",
            "WARN",
            "off",
            "info,watchpost_hub=debug",
            "warn, watchpost_hub::sink = trace",
            "watchpost_hub",
            "info,actix_server=warn,awc=debug",
            "info,watchpost_hub[delivery{sink=mail}]=debug",
        ] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn others_are_explained() {
        for (filter, problem, help) in [
            ("verbose", "has no level `verbose`", "did you mean `debug`?"),
            ("inof", "has no level `inof`", "did you mean `info`?"),
            ("warning", "has no level `warning`", "did you mean `warn`?"),
            ("info;debug", "has no level `info;debug`", "expected error, warn"),
            ("info debug", "has no level `info debug`", "expected error, warn"),
            (
                "info,watchpost_hb=debug",
                "names a part `watchpost_hb`",
                "did you mean `watchpost_hub`?",
            ),
            (
                "info,hub=debug",
                "names a part `hub`",
                "did you mean `watchpost_hub`?",
            ),
            (
                "info,watchpost_hub=dbug",
                "has no level `dbug`",
                "did you mean `debug`?",
            ),
            (
                "info,camera=debug",
                "names a part `camera`",
                "its parts are watchpost, ",
            ),
            (
                "info,watchpost_hub:debug",
                "has no level `watchpost_hub:debug`",
                "expected error",
            ),
        ] {
            let (said, advice) = check(filter).unwrap_err();
            assert!(
                said.contains(problem) && advice.contains(help),
                "{filter}: {said}; {advice}"
            );
        }
    }
}
