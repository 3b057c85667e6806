//! Values on the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use watchpost_config::TimeSpan;
use watchpost_core::UnixMillis;

/// Reads a point in time, or a span before now.
///
/// # Errors
/// What to write instead.
pub(crate) fn time(text: &str) -> Result<UnixMillis, String> {
    if let Ok(span) = text.parse::<TimeSpan>() {
        return Ok(now() - span.into());
    }
    word(text)
        .map_err(|_| "write a time such as 2026-11-23T18:00:00Z, or a span before now such as 2h".to_owned())
}

/// A span in the form in which it is sent to the hub.
pub(crate) fn millis(span: TimeSpan) -> u64 {
    u64::try_from(Duration::from(span).as_millis()).unwrap_or(u64::MAX)
}

/// What this machine's clock shows.
pub(crate) fn now() -> UnixMillis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// Reads one of the words that a type has in JSON.
///
/// # Errors
/// Which words there are.
pub(crate) fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use watchpost_core::{DeliveryState, Severity};

    use super::*;

    #[test]
    fn times_are_points_or_spans_before_now() {
        let point = time("2026-11-23T01:16:30.521Z").unwrap();
        assert_eq!(point.to_string(), "2026-11-23T01:16:30.521Z");
        let (hour, two) = (time("1h").unwrap(), time("2h").unwrap());
        assert!((3_590_000..3_610_000).contains(&(hour.0 - two.0)));
        assert!(time("yesterday").unwrap_err().contains("2h"));
    }

    #[test]
    fn words_are_those_of_the_json() {
        assert_eq!(word("dead"), Ok(DeliveryState::Dead));
        assert_eq!(word("high"), Ok(Severity::High));
        let refused = word::<Severity>("urgent").unwrap_err();
        assert!(
            refused.contains("low") && refused.contains("critical"),
            "{refused}"
        );
    }
}
