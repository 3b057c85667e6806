//! Filters that put what an alert says into words. What is missing stays empty.

use std::time::{Duration, SystemTime};

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

use super::document::{Clocks, Table, is_missing};
use crate::{clock, words};

/// From here on a figure is written with its power of ten.
const MAX_PLAIN: f64 = 1e6;

/// Makes the filters known, and has those of the language know what is missing.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("local_time", local_time);
    environment.add_filter("ago", ago);
    environment.add_filter("duration", duration);
    environment.add_filter("score_in_words", score_in_words);
    environment.add_filter("camera_label", camera_label);
    environment.add_filter("plural", plural);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("tojson", to_json);
    environment.add_test("defined", |value: &Value| !is_missing(value));
    environment.add_test("undefined", is_missing);
    environment.add_test("none", is_missing);
}

/// A score in words, with its figure.
pub(super) fn score(score: f64) -> String {
    let words = score_words(score);
    match score.abs() < MAX_PLAIN {
        true => format!("{words} ({score:.2})"),
        false => format!("{words} ({score:e})"),
    }
}

/// How abnormal a score of VisionGuard is. The limits are those from which the hub calls an anomaly medium, high and critical,
/// unless the site has others.
fn score_words(score: f64) -> &'static str {
    match score {
        ..-5.0 => words::text("score.extreme"),
        -5.0..-3.0 => words::text("score.strong"),
        -3.0..-2.0 => words::text("score.medium"),
        -2.0..0.0 => words::text("score.slight"),
        _ => words::text("score.normal"),
    }
}

fn score_in_words(value: &Value) -> Result<Value, Error> {
    known(value, |value| Ok(score_words(number(value)?).to_owned()))
}

fn duration(value: &Value) -> Result<Value, Error> {
    known(value, |value| {
        let seconds = number(value)?;
        Duration::try_from_secs_f64(seconds)
            .map(clock::span)
            .map_err(|_| wrong(format!("{seconds} is no number of seconds")))
    })
}

fn ago(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    known(value, |value| {
        let before = clocks(state)?.received.duration_since(time(value)?);
        Ok(clock::span(before.unwrap_or_default()))
    })
}

fn local_time(state: &State<'_, '_>, value: &Value, format: Option<String>) -> Result<Value, Error> {
    known(value, |value| {
        let format = format.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S");
        clock::format(time(value)?, clocks(state)?.utc_offset_s, format).map_err(wrong)
    })
}

fn camera_label(camera: &Value) -> String {
    let called = ["name", "id"].into_iter().find_map(|key| {
        let value = camera.get_attr(key).ok().filter(|value| !is_missing(value))?;
        Some(value.to_string()).filter(|text| !text.is_empty())
    });
    called.unwrap_or_else(|| words::text("camera.unknown").to_owned())
}

fn plural(count: &Value, one: &str, many: &str) -> Result<Value, Error> {
    known(count, |count| {
        let count = i64::try_from(count.clone())?;
        Ok(match count {
            1 => format!("1 {one}"),
            _ => format!("{} {many}", grouped(count)),
        })
    })
}

fn default(state: &State<'_, '_>, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let value = if is_missing(value) {
        &Value::UNDEFINED
    } else {
        value
    };
    filters::default(state, value, args)
}

fn to_json(value: &Value, indent: Option<Value>, args: Kwargs) -> Result<Value, Error> {
    let null = Value::from(());
    filters::tojson(if is_missing(value) { &null } else { value }, indent, args)
}

/// What is made of a value, or nothing of what is missing.
fn known(value: &Value, make: impl FnOnce(&Value) -> Result<String, Error>) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(Value::from(""));
    }
    make(value).map(Value::from)
}

fn number(value: &Value) -> Result<f64, Error> {
    f64::try_from(value.clone()).map_err(|_| wrong(format!("`{value}` is no number")))
}

/// A time as the document has it, or as `time` is.
fn time(value: &Value) -> Result<SystemTime, Error> {
    let time = value.as_str().and_then(clock::parse);
    time.ok_or_else(|| wrong(format!("`{value}` is no time such as 2026-11-23T01:16:30Z")))
}

fn clocks(state: &State<'_, '_>) -> Result<Clocks, Error> {
    let alert = state.lookup("alert");
    let clocks = alert.and_then(|alert| alert.downcast_object_ref::<Table>().map(|table| table.clocks));
    clocks.ok_or_else(|| wrong("this filter looks at `alert`, which is something else here".to_owned()))
}

fn wrong(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// A number for people: `1,204`.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text += words::text("count.thousands");
        }
        text.push(digit);
    }
    text
}
