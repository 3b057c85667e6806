//! Which deliveries a command means, in memory and as a condition in SQL.

use rusqlite::types::Value;
use watchpost_core::{AlertId, DeliveryState, UnixMillis};

use crate::codec::{first_key, key, state_code};

/// Which deliveries: those that meet every condition given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of this alert.
    pub alert: Option<AlertId>,
    /// Those to the sink of this name.
    pub sink: Option<String>,
    /// Those in one of these states; empty means any.
    pub states: Vec<DeliveryState>,
    /// Those of alerts received at this time or later.
    pub since: Option<UnixMillis>,
    /// Those of alerts received before this time.
    pub until: Option<UnixMillis>,
}

impl Selection {
    /// Whether a delivery of this alert, to this sink, in this state, is among them. The same as the condition in SQL,
    /// for deliveries that are known without asking the database.
    pub fn matches(&self, alert: AlertId, sink: &str, state: DeliveryState) -> bool {
        self.alert.is_none_or(|wanted| wanted == alert)
            && self.sink.as_ref().is_none_or(|wanted| wanted == sink)
            && (self.states.is_empty() || self.states.contains(&state))
            && self.since.is_none_or(|since| key(alert) >= first_key(since))
            && self.until.is_none_or(|until| key(alert) < first_key(until))
    }
}

/// A condition on `delivery d` and `sink s`.
#[derive(Debug)]
pub(crate) struct Condition {
    sql: String,
    /// Of its parameters, in order.
    values: Vec<Value>,
}

impl Condition {
    /// The condition that selects these deliveries.
    pub(crate) fn of(selection: &Selection) -> Self {
        let mut condition = Self {
            sql: "TRUE".to_owned(),
            values: Vec::new(),
        };
        if let Some(alert) = selection.alert {
            condition.and("d.alert = ?", Some(key(alert).into()));
        }
        if let Some(sink) = &selection.sink {
            condition.and("s.name = ?", Some(sink.clone().into()));
        }
        if let Some(since) = selection.since {
            condition.and("d.alert >= ?", Some(first_key(since).into()));
        }
        if let Some(until) = selection.until {
            condition.and("d.alert < ?", Some(first_key(until).into()));
        }
        if !selection.states.is_empty() {
            let codes: Vec<_> = selection
                .states
                .iter()
                .map(|&state| state_code(state).to_string())
                .collect();
            condition.and(&format!("d.state IN ({})", codes.join(", ")), None);
        }
        condition
    }

    /// Adds a condition, with the value of its parameter.
    pub(crate) fn and(&mut self, sql: &str, value: Option<Value>) {
        self.sql += &format!(" AND {sql}");
        self.values.extend(value);
    }

    /// The SQL and its values.
    pub(crate) fn parts(self) -> (String, Vec<Value>) {
        (self.sql, self.values)
    }
}
