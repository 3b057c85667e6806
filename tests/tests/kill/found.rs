//! Where the alerts are found after the kills, and that nothing is missing there. How they came there it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use walkdir::WalkDir;

/// An alert as it is known somewhere: stream and person, which no two alerts share, and its picture. What the hub says of itself
/// has none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copy {
    stream_id: String,
    person_id: Option<i64>,
    length: u64,
    crc32c: u32,
}

/// An alert whose acknowledgement the backend has seen.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// The backend's name of it.
    pub(crate) anomaly_id: String,
    original: Copy,
}

/// From just before a kill until the hub and its children were gone, in milliseconds since 1970.
pub(crate) type Kill = RangeInclusive<u128>;

/// Where the alerts are, by the hub's ids.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) stored: BTreeMap<u64, Copy>,
    pub(crate) archived: BTreeMap<u64, Copy>,
    /// When each reached the recorder, in milliseconds since 1970.
    pub(crate) recorded: BTreeMap<u64, Vec<u128>>,
}

impl Acknowledged {
    /// Those among the alerts that the backend lists.
    pub(crate) fn among(listed: &[Value]) -> Result<Vec<Self>> {
        let acknowledged = listed
            .iter()
            .filter(|alert| !alert["acknowledged_at_ms"].is_null());
        acknowledged.map(Self::read).collect()
    }

    fn read(alert: &Value) -> Result<Self> {
        let crc32c = alert["picture_crc32c"].as_u64().context("a checksum")?;
        let original = Copy {
            length: alert["picture_len"].as_u64().context("a length")?,
            crc32c: u32::try_from(crc32c)?,
            ..Copy::named(text(alert, "stream_id")?, &alert["person_id"])?
        };
        Ok(Self {
            anomaly_id: text(alert, "anomaly_id")?,
            original,
        })
    }
}

impl Copy {
    /// Without its picture.
    fn named(stream_id: String, person_id: &Value) -> Result<Self> {
        Ok(Self {
            stream_id,
            person_id: Some(person_id.as_i64().context("a person")?),
            ..Self::default()
        })
    }

    fn name(&self) -> (&str, Option<i64>) {
        (&self.stream_id, self.person_id)
    }
}

impl Found {
    pub(crate) fn look(data_dir: &Path, archive_dir: &Path, record_file: &Path) -> Result<Self> {
        Ok(Self {
            stored: stored(data_dir)?,
            archived: archived(archive_dir)?,
            recorded: recorded(record_file)?,
        })
    }

    /// Every acknowledged alert is everywhere, the same everywhere. Returns the hub's ids of them, in their order.
    pub(crate) fn check_nothing_lost(&self, acknowledged: &[Acknowledged]) -> Result<Vec<u64>> {
        let mut by_name = BTreeMap::new();
        for (id, copy) in self.stored.iter().filter(|(_, copy)| copy.person_id.is_some()) {
            let other = by_name.insert(copy.name(), *id);
            ensure!(other.is_none(), "{copy:?} is stored as {id} and as {other:?}");
        }
        let mut ids = Vec::new();
        let mut lost = Vec::new();
        for Acknowledged { original, .. } in acknowledged {
            let Some(id) = by_name.get(&original.name()) else {
                lost.push(format!("not stored: {original:?}"));
                continue;
            };
            ids.push(*id);
            for (place, copies) in [("stored", &self.stored), ("archived", &self.archived)] {
                let copy = copies.get(id);
                if copy != Some(original) {
                    lost.push(format!("{place} under {id} is {copy:?}, sent was {original:?}"));
                }
            }
            if !self.recorded.contains_key(id) {
                lost.push(format!("not recorded: {id}, {original:?}"));
            }
        }
        ensure!(
            lost.is_empty(),
            "{} of {}:\n{}",
            lost.len(),
            acknowledged.len(),
            lost.join("\n")
        );
        Ok(ids)
    }

    /// The sinks got what is stored and nothing else, under the same ids.
    pub(crate) fn check_same_ids(&self) -> Result<()> {
        let stored: BTreeSet<&u64> = self.stored.keys().collect();
        let archived: BTreeSet<&u64> = self.archived.keys().collect();
        let recorded: BTreeSet<&u64> = self.recorded.keys().collect();
        for (place, ids) in [("archived", archived), ("recorded", recorded)] {
            let difference: Vec<_> = stored.symmetric_difference(&ids).collect();
            ensure!(
                difference.is_empty(),
                "either stored or {place}, not both: {difference:?}"
            );
        }
        Ok(())
    }

    /// What was recorded again was under way when the hub was killed. Returns how often that was.
    pub(crate) fn check_again_only_after(&self, kills: &[Kill]) -> Result<usize> {
        let mut again = 0;
        for (id, times) in &self.recorded {
            again += times.len() - 1;
            for pair in times.windows(2) {
                let (first, second) = (pair[0], pair[1]);
                // What a plugin's process was given before is recorded until it and the hub are gone.
                ensure!(
                    kills
                        .iter()
                        .any(|kill| *kill.start() <= second && first <= *kill.end()),
                    "alert {id} was recorded at {first} and {second}, and the hub was not killed meanwhile"
                );
            }
        }
        Ok(again)
    }
}

/// What stands in the database. The hub's own list ends at a thousand.
fn stored(data_dir: &Path) -> Result<BTreeMap<u64, Copy>> {
    let database = WalkDir::new(data_dir)
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| entry.path().extension().is_some_and(|ending| ending == "db"))
        .with_context(|| format!("no database in {}", data_dir.display()))?;
    let connection = Connection::open_with_flags(database.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut query = connection.prepare(
        "SELECT id, stream, json_extract(body, '$.visionguard.person_id'), length, crc FROM alert",
    )?;
    let rows = query.query_map((), |row| {
        let copy = Copy {
            stream_id: row.get::<_, Option<_>>(1)?.unwrap_or_default(),
            person_id: row.get(2)?,
            length: row.get::<_, Option<i64>>(3)?.unwrap_or_default().cast_unsigned(),
            crc32c: row.get::<_, Option<_>>(4)?.unwrap_or_default(),
        };
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), copy))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What stands in the archive: each document of an anomaly with its picture, and no picture without a document.
fn archived(dir: &Path) -> Result<BTreeMap<u64, Copy>> {
    let mut found = BTreeMap::new();
    let mut pictures = 0;
    for entry in WalkDir::new(dir) {
        let path = entry?.into_path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        pictures += usize::from(ending == Some("jpg"));
        if ending != Some("json") {
            continue;
        }
        let document: Value = serde_json::from_slice(&fs::read(&path)?)
            .with_context(|| format!("{} is not whole", path.display()))?;
        let id = document["id"].as_u64().context("an id")?;
        let copy = if document["kind"] == "hub" {
            Copy::default()
        } else {
            let picture = path.with_extension("jpg");
            let picture = fs::read(&picture).with_context(|| format!("{} is missing", picture.display()))?;
            Copy {
                length: picture.len() as u64,
                crc32c: crc32c::crc32c(&picture),
                ..Copy::named(
                    text(&document["camera"], "id")?,
                    &document["visionguard"]["person_id"],
                )?
            }
        };
        ensure!(found.insert(id, copy).is_none(), "alert {id} is archived twice");
    }
    let anomalies = found.values().filter(|copy| copy.person_id.is_some()).count();
    ensure!(
        pictures == anomalies,
        "{pictures} pictures for {anomalies} documents"
    );
    Ok(found)
}

fn recorded(file: &Path) -> Result<BTreeMap<u64, Vec<u128>>> {
    let mut found = BTreeMap::<u64, Vec<u128>>::new();
    for line in fs::read_to_string(file)?.lines() {
        let mut words = line.split(' ');
        let (id, time) = (
            words.next().unwrap_or_default(),
            words.next_back().unwrap_or_default(),
        );
        let parsed = id.parse().ok().zip(time.parse().ok());
        let (id, time) = parsed.with_context(|| format!("`{line}` is not `id attempt unix_ms`"))?;
        found.entry(id).or_default().push(time);
    }
    Ok(found)
}

fn text(document: &Value, key: &str) -> Result<String> {
    let text = document[key].as_str();
    Ok(text
        .with_context(|| format!("no `{key}` in {document}"))?
        .to_owned())
}
