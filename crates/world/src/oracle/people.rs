//! What a person has done on one side is known on the other.

use std::collections::BTreeMap;
use std::time::Duration;

use watchpost_core::Actor;

use super::{Stored, key};
use crate::backend::{Backend, Status};

/// Older rows than the newest few are looked at so often, and some time to do so.
const KNOWN_WITHIN: Duration = Duration::from_secs(330);

/// What is not known yet.
pub fn people(backend: &Backend, stored: &Stored, write_back: bool) -> Vec<String> {
    let state = backend.state();
    let rows = state.rows.iter().filter(|row| !row.infinite);
    let rows: BTreeMap<_, _> = rows.map(|row| (row.key(), row)).collect();
    let mut unknown = Vec::new();
    for anomaly in stored.anomalies() {
        let Some(row) = key(anomaly).and_then(|key| rows.get(&key)) else {
            continue;
        };
        let (id, number) = (anomaly.alert.id, row.number);
        let judged = row.judged.filter(|_| row.status != Status::Pending);
        match &anomaly.acknowledged {
            None if judged.is_some_and(|judged| judged.elapsed() > KNOWN_WITHIN) => unknown.push(format!(
                "a person has judged anomaly {number}, and alert {id} is not acknowledged"
            )),
            Some(acknowledged) if write_back && row.status == Status::Pending => {
                let who = acknowledged.by.as_ref();
                let who = who.map_or_else(|| "a person".to_owned(), Actor::to_string);
                unknown.push(format!(
                    "{who} has acknowledged alert {id}, and anomaly {number} is pending"
                ));
            }
            _ => {}
        }
    }
    unknown
}
