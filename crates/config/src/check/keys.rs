//! Keys that are not known and keys that are missing, with what is likely to be meant.

use super::findings::Findings;
use super::place::At;
use super::secret::spellings;
use super::wording::list;
use crate::location::Origin;
use crate::nearest::nearest;
use crate::schema::{self, Kind, Schema};
use crate::tree::{Entry, Value};

/// What keys are called elsewhere, and what they may be called here.
const ALIASES: &[(&[&str], &[&str])] = &[
    (
        &[
            "host", "hostname", "address", "addr", "uri", "endpoint", "server", "broker", "base_url",
        ],
        &["url", "server"],
    ),
    (
        &["username", "user_name", "account", "mail", "e_mail", "user"],
        &["user", "email", "user_id"],
    ),
    (&["pass", "passwd", "pwd"], &["password", "password_file"]),
    (
        &["path", "directory", "folder", "dir"],
        &["dir", "data_dir", "directory"],
    ),
    (&["type", "kind", "driver"], &["plugin"]),
    (&["recipients", "recipient", "rcpt"], &["to"]),
    (&["sender"], &["from"]),
    (&["ssl", "encryption", "encrypted"], &["tls", "security"]),
    (&["level", "min_severity", "priority"], &["severity"]),
    (&["log_level", "loglevel", "level", "verbosity"], &["log"]),
    (&["retention", "keep", "max_days"], &["keep_for"]),
    (&["cmd", "program", "exec", "script"], &["command"]),
    (&["id", "label", "title"], &["name"]),
    (&["api_key", "apikey", "access_token"], &["token", "token_file"]),
    (&["ca", "cafile", "ca_cert", "cacert", "ca_certs"], &["ca_file"]),
    (&["camera", "camera_id", "stream_id"], &["stream"]),
    (&["sink", "to", "target", "targets", "receiver"], &["sinks"]),
    (&["pin", "gpio"], &["line"]),
    (&["prefix", "topic_prefix", "base_topic"], &["base"]),
];

/// Most places of a key that are named.
const MAX_PLACES: usize = 3;

/// Reports a key that is not known, and returns the one that is likely to be meant.
pub(super) fn unknown(
    found: &mut Findings<'_>,
    key: &str,
    entry: &Entry,
    schema: Schema<'_>,
    at: &At,
) -> Option<String> {
    let keys: Vec<String> = schema
        .properties()
        .into_iter()
        .flatten()
        .flat_map(|(key, property)| spellings(key, property))
        .collect();
    let known = || keys.iter().map(String::as_str);
    let places = places(key, schema, at);
    let close = places.iter().any(|place| is_near(&place.table, at));
    let near = nearest(key, known()).or_else(|| alias(key, known()));
    let mut meant = None;
    let help = if let Some(near) = near.filter(|_| !close) {
        meant = Some(near.to_owned());
        format!("did you mean `{near}`?")
    } else if !places.is_empty() {
        belongs(key, &places, at)
    } else {
        let keys: Vec<&str> = known().collect();
        let what = if at.dotted().is_empty() { "tables" } else { "keys" };
        let mut help = format!("its {what} are {}", list(&keys, "and"));
        if at.dotted() == "sink" {
            help += "; a setting of the plugin belongs in [sink.config]";
        }
        help
    };
    let what = match &entry.node.value {
        Value::Table(_) if at.dotted().is_empty() => "table",
        _ => "key",
    };
    let finding = found
        .sources
        .finding(entry.key, format!("unknown {what} `{key}` in {at}"));
    found.report(finding.label(format!("not a {what} here")).help(help));
    meant
}

/// A table in which a key is known.
struct Place {
    table: At,
    /// Whether the key is a table itself: once, or several times.
    header: Option<At>,
}

/// The tables in which this key is known, nearest first.
fn places(key: &str, schema: Schema<'_>, at: &At) -> Vec<Place> {
    let mut found = Vec::new();
    if !schema.is_ours() {
        collect(key, schema, at, &mut found);
    }
    collect(key, schema::root(), &At::root(), &mut found);
    found.sort_by_key(|place| (!is_near(&place.table, at), place.table.keys().count()));
    if found.first().is_some_and(|place| is_near(&place.table, at)) {
        found.retain(|place| is_near(&place.table, at));
    }
    found.truncate(MAX_PLACES);
    found
}

/// Whether one is within the other.
fn is_near(table: &At, at: &At) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (table.keys().collect(), at.keys().collect());
    !a.is_empty() && (a.starts_with(&b) || b.starts_with(&a))
}

fn collect(key: &str, schema: Schema<'_>, at: &At, found: &mut Vec<Place>) {
    for (name, property) in schema.properties().into_iter().flatten() {
        let many = property.kind() == Kind::Array;
        let table = if many { property.items() } else { property };
        let below = if many {
            at.below(name).several()
        } else {
            at.below(name)
        };
        let is_table = table.kind() == Kind::Table;
        if spellings(name, property).iter().any(|spelling| spelling == key) && !at.dotted().is_empty() {
            found.push(Place {
                table: at.clone(),
                header: is_table.then(|| below.clone()),
            });
        }
        if is_table && !property.is_nested() {
            collect(key, table, &below, found);
        }
    }
}

/// Says where a key belongs, and where that is in the file.
fn belongs(key: &str, places: &[Place], at: &At) -> String {
    let headers: Vec<String> = places.iter().map(|place| place.table.header()).collect();
    let [first, ..] = places else { return String::new() };
    if let Some(header) = &first.header {
        return format!("write `{}` for it", header.header());
    }
    let tables = match headers.as_slice() {
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
        [] => String::new(),
    };
    let (there, here) = (first.table.keys().count(), at.keys().count());
    let order = match headers.as_slice() {
        [only] if is_near(&first.table, at) && there > here => format!(": write it below a line `{only}`"),
        [_] if is_near(&first.table, at) && there < here => {
            format!(": write it above the line `{}`", at.header())
        }
        _ => String::new(),
    };
    format!("`{key}` belongs in {tables}{order}")
}

/// The key that is meant by a word which other programs have for it.
fn alias<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let key = key.to_lowercase().replace('-', "_");
    let meant = ALIASES
        .iter()
        .filter(|(words, _)| words.contains(&key.as_str()))
        .flat_map(|(_, meant)| *meant);
    meant
        .into_iter()
        .find_map(|meant| known.clone().find(|known| known == meant))
}

/// Reports the keys that a table needs and lacks.
pub(super) fn missing(found: &mut Findings<'_>, missing: &[(&str, Schema<'_>)], origin: Origin, at: &At) {
    let shown = |(key, schema): &(&str, Schema<'_>)| match schema.kind() {
        Kind::Array if schema.items().kind() == Kind::Table => format!("[[{key}]]"),
        _ if schema.format() == "secret" => format!("{key}_file"),
        _ => (*key).to_owned(),
    };
    let keys: Vec<String> = missing.iter().map(shown).collect();
    let explained = missing.iter().map(|entry| {
        let also = if entry.1.format() == "secret" {
            format!(" (or `{0}`, `{0}_env`)", entry.0)
        } else {
            String::new()
        };
        match entry.1.summary() {
            summary if summary.is_empty() => format!("write `{} = …`{also}", shown(entry)),
            summary => format!("`{}`{also}: {summary}", shown(entry)),
        }
    });
    let help = explained.collect::<Vec<_>>().join("\n");
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let finding = found
        .sources
        .finding(origin, format!("{at} lacks {}", list(&keys, "and")));
    found.report(finding.label("in here").help(help));
}
