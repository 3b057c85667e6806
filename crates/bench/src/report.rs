//! Figures, their targets, and the two forms in which they are printed.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sense {
    /// The target or more.
    AtLeast,
    /// The target or less.
    AtMost,
}

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its name, stable for scripts.
    pub(crate) figure: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// In what unit.
    pub(crate) unit: &'static str,
    /// What it should be.
    pub(crate) target: f64,
    /// Whether more or less is better.
    pub(crate) sense: Sense,
    /// Whether it is as it should be.
    pub(crate) met: bool,
    /// What the value was computed from.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) detail: Map<String, Value>,
}

impl Figure {
    /// A figure that should not be less than the target.
    pub(crate) fn at_least(figure: &'static str, value: f64, unit: &'static str, target: f64) -> Self {
        Self::new(figure, value, unit, target, Sense::AtLeast)
    }

    /// A figure that should not be more than the target.
    pub(crate) fn at_most(figure: &'static str, value: f64, unit: &'static str, target: f64) -> Self {
        Self::new(figure, value, unit, target, Sense::AtMost)
    }

    fn new(figure: &'static str, value: f64, unit: &'static str, target: f64, sense: Sense) -> Self {
        let met = match sense {
            Sense::AtLeast => value >= target,
            Sense::AtMost => value <= target,
        };
        let [value, target] = [value, target].map(rounded);
        Self {
            figure,
            value,
            unit,
            target,
            sense,
            met,
            detail: Map::new(),
        }
    }

    /// The same with something beside it.
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.detail.insert(name.to_owned(), Value::from(rounded(value)));
        self
    }

    fn target_text(&self) -> String {
        let sign = match self.sense {
            Sense::AtLeast => '≥',
            Sense::AtMost => '≤',
        };
        format!("{sign} {} {}", self.target, self.unit)
    }

    fn detail_text(&self) -> String {
        let pairs: Vec<String> = self
            .detail
            .iter()
            .map(|(name, value)| format!("{} {value}", name.replace('_', " ")))
            .collect();
        pairs.join(", ")
    }
}

/// The figures as a Markdown table, which is also what is printed.
pub(crate) fn table(figures: &[Figure]) -> String {
    let head = ["figure", "value", "target", "met", "measured"].map(str::to_owned);
    let rows: Vec<[String; 5]> = figures
        .iter()
        .map(|figure| {
            [
                figure.figure.to_owned(),
                format!("{} {}", figure.value, figure.unit),
                figure.target_text(),
                if figure.met { "yes" } else { "NO" }.to_owned(),
                figure.detail_text(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head)
            .chain(&rows)
            .filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3), 0];
    let mut text = String::new();
    let mut line = |cells: &[String; 5]| {
        for (cell, width) in cells.iter().zip(widths) {
            // Writing into a string cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
    };
    line(&head);
    line(&widths.map(|width| "-".repeat(width.max(8))));
    rows.iter().for_each(line);
    text
}

/// Three digits after the point, which is more than any measurement here is good for.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn figures() -> Vec<Figure> {
        vec![
            Figure::at_least("ingest_10kb", 91.23456, "%", 80.0).with("hub_per_s", 20_000.0),
            Figure::at_most("ack_p99", 3.5, "ms", 3.0),
        ]
    }

    #[test]
    fn the_table_says_what_is_met() {
        expect![[r#"
            | figure      | value    | target | met | measured |
            | ----------- | -------- | -------- | -------- | -------- |
            | ingest_10kb | 91.235 % | ≥ 80 % | yes | hub per s 20000.0 |
            | ack_p99     | 3.5 ms   | ≤ 3 ms | NO  |  |
        "#]]
        .assert_eq(&table(&figures()));
    }

    #[test]
    fn a_script_reads_the_same() {
        let lines: Vec<String> = figures()
            .iter()
            .map(|f| serde_json::to_string(f).unwrap())
            .collect();
        expect![[r#"
            {"figure":"ingest_10kb","value":91.235,"unit":"%","target":80.0,"sense":"at_least","met":true,"detail":{"hub_per_s":20000.0}}
            {"figure":"ack_p99","value":3.5,"unit":"ms","target":3.0,"sense":"at_most","met":false}"#]]
        .assert_eq(&lines.join("\n"));
    }
}
