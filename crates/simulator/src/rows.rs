//! The anomalies table: what a camera or Owl Eye reported, as the REST interface lists and changes it.
//! It knows nothing of HTTP; a filter arrives as text and an unknown word is refused by name.

use std::{collections::VecDeque, str::FromStr};

use serde::Serialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    clock,
    picture::Recipe,
    wire::{Bbox, Finding},
};

/// Rows kept; older ones are dropped. The real table is not limited.
pub const MAX_ROWS: usize = 50_000;

/// How far an anomaly was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Acknowledged,
    Resolved,
    FalsePositive,
}

/// How grave it is. The real backend calls every camera anomaly low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "pending" => Ok(Self::Pending),
            "acknowledged" => Ok(Self::Acknowledged),
            "resolved" => Ok(Self::Resolved),
            "false_positive" => Ok(Self::FalsePositive),
            _ => Err(()),
        }
    }
}

impl FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err(()),
        }
    }
}

/// Where the picture of a row comes from.
#[derive(Debug, Clone)]
pub(crate) enum Picture {
    /// Drawn again whenever it is asked for.
    Drawn(Recipe),
    /// Sent in by a client.
    Given(bytes::Bytes),
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) shop_id: Uuid,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) location: String,
    pub(crate) severity: Severity,
    pub(crate) status: Status,
    pub(crate) description: String,
    pub(crate) picture_name: String,
    pub(crate) picture: Picture,
    pub(crate) anomaly_type: &'static str,
    /// `|score|`, not 0 to 1; may be infinite.
    pub(crate) confidence_score: f64,
    pub(crate) resolved_by: Option<Uuid>,
    pub(crate) resolved_at: Option<OffsetDateTime>,
    pub(crate) notes: Option<String>,
    pub(crate) extra: Extra,
    pub(crate) updated_at: OffsetDateTime,
}

/// What only a camera knows; the keys stand in the order of PostgreSQL's jsonb.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Extra {
    bbox: Option<ExtraBbox>,
    end_frame: Option<u64>,
    person_id: Option<u32>,
    stream_id: Option<String>,
    start_frame: Option<u64>,
    frame_number: Option<u64>,
    classification: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct ExtraBbox {
    h: u32,
    w: u32,
    x: u32,
    y: u32,
}

impl Extra {
    pub(crate) fn of_camera(finding: &Finding) -> Self {
        Self {
            bbox: finding.bbox.map(|Bbox { x, y, w, h }| ExtraBbox { h, w, x, y }),
            end_frame: Some(finding.end_frame()),
            person_id: Some(finding.person_id),
            stream_id: Some(finding.stream_id.to_string()),
            start_frame: Some(finding.start_frame),
            frame_number: Some(finding.frame_number),
            classification: Some("Abnormal"),
        }
    }

    pub(crate) fn of_owl(stream_id: Option<String>) -> Self {
        Self {
            stream_id,
            ..Self::default()
        }
    }
}

/// A row as it stands in an answer.
#[derive(Serialize)]
pub(crate) struct RowView<'a> {
    id: Uuid,
    shop_id: Uuid,
    timestamp: String,
    location: &'a str,
    severity: Severity,
    status: Status,
    description: &'a str,
    image_url: String,
    anomaly_type: &'static str,
    confidence_score: Option<f64>,
    resolved_by: Option<Uuid>,
    resolved_at: Option<String>,
    notes: Option<&'a str>,
    extra_data: &'a Extra,
    created_at: String,
    updated_at: String,
}

impl Row {
    pub(crate) fn view(&self) -> RowView<'_> {
        let shop_id = self.shop_id;
        RowView {
            id: self.id,
            shop_id,
            timestamp: clock::naive_utc(self.timestamp),
            location: &self.location,
            severity: self.severity,
            status: self.status,
            description: &self.description,
            image_url: format!("/api/anomalies/frames/{shop_id}/{}", self.picture_name),
            anomaly_type: self.anomaly_type,
            confidence_score: self.confidence_score.is_finite().then_some(self.confidence_score),
            resolved_by: self.resolved_by,
            resolved_at: self.resolved_at.map(clock::naive_utc),
            notes: self.notes.as_deref(),
            extra_data: &self.extra,
            created_at: clock::naive_utc(self.timestamp),
            updated_at: clock::naive_utc(self.updated_at),
        }
    }
}

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) shop: Option<Uuid>,
    pub(crate) status: Option<Status>,
    pub(crate) severity: Option<Severity>,
}

/// Counts over all rows.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    total: usize,
    recent_24h: usize,
    by_status: ByStatus,
    by_severity: BySeverity,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct ByStatus {
    pending: usize,
    acknowledged: usize,
    resolved: usize,
    false_positive: usize,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct BySeverity {
    low: usize,
    medium: usize,
    high: usize,
    critical: usize,
}

/// The table, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: VecDeque<Row>,
}

impl Rows {
    pub(crate) fn insert(&mut self, row: Row) {
        if self.rows.len() == MAX_ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Row> {
        // Newest first: what is asked for by id has usually just been reported.
        self.rows.iter().rev().find(|row| row.id == id)
    }

    pub(crate) fn by_picture(&self, name: &str) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.picture_name == name)
    }

    /// One page, newest first, and the count of all rows that pass the filter.
    pub(crate) fn page(&self, filter: &Filter, offset: usize, limit: usize) -> (usize, Vec<&Row>) {
        let passes = |row: &&Row| {
            filter.shop.is_none_or(|shop| shop == row.shop_id)
                && filter.status.is_none_or(|s| s == row.status)
                && filter.severity.is_none_or(|s| s == row.severity)
        };
        let total = self.rows.iter().filter(passes).count();
        (
            total,
            self.rows
                .iter()
                .rev()
                .filter(passes)
                .skip(offset)
                .take(limit)
                .collect(),
        )
    }

    /// Changes a row. Going back to pending clears nothing, and empty notes change nothing: so the backend does it.
    pub(crate) fn change(
        &mut self,
        id: Uuid,
        status: Status,
        notes: Option<String>,
        by: Uuid,
        now: OffsetDateTime,
    ) -> Option<&Row> {
        let row = self.rows.iter_mut().rev().find(|row| row.id == id)?;
        row.status = status;
        if matches!(status, Status::Resolved | Status::FalsePositive) {
            row.resolved_by = Some(by);
            row.resolved_at = Some(now);
        }
        if let Some(notes) = notes.filter(|notes| !notes.is_empty()) {
            row.notes = Some(notes);
        }
        row.updated_at = now;
        Some(row)
    }

    /// A person judges the newest pending rows, so many.
    pub(crate) fn judge(&mut self, rows: usize, status: Status, by: Uuid, now: OffsetDateTime) {
        let newest = self.rows.iter().rev();
        let pending = newest.filter(|row| row.status == Status::Pending).take(rows);
        let ids: Vec<Uuid> = pending.map(|row| row.id).collect();
        for id in ids {
            self.change(id, status, None, by, now);
        }
    }

    /// Counts those of one shop, or all.
    pub(crate) fn summary(&self, shop: Option<Uuid>, now: OffsetDateTime) -> Summary {
        let mut summary = Summary::default();
        let of_shop = |row: &&Row| shop.is_none_or(|shop| shop == row.shop_id);
        for row in self.rows.iter().filter(of_shop) {
            summary.total += 1;
            summary.recent_24h += usize::from(row.timestamp >= now - Duration::hours(24));
            *match row.status {
                Status::Pending => &mut summary.by_status.pending,
                Status::Acknowledged => &mut summary.by_status.acknowledged,
                Status::Resolved => &mut summary.by_status.resolved,
                Status::FalsePositive => &mut summary.by_status.false_positive,
            } += 1;
            *match row.severity {
                Severity::Low => &mut summary.by_severity.low,
                Severity::Medium => &mut summary.by_severity.medium,
                Severity::High => &mut summary.by_severity.high,
                Severity::Critical => &mut summary.by_severity.critical,
            } += 1;
        }
        summary
    }
}
