//! The query of the anomalies list, checked with the backend's limits and words.

use actix_web::{HttpRequest, web};
use uuid::Uuid;

use super::errors::Invalid;

/// Rows on a page that names no limit.
const DEFAULT_LIMIT: usize = 100;
/// Most rows on a page.
const MAX_LIMIT: usize = 500;

/// A query within the limits. Status and severity are checked later, and refused in another way.
pub(super) struct Query {
    pub(super) shop_id: Option<Uuid>,
    pub(super) status: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Query {
    pub(super) fn read(req: &HttpRequest) -> Result<Self, Vec<Invalid>> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(req.query_string())
            .map(web::Query::into_inner)
            .unwrap_or_default();
        // As in the backend, the last of several wins.
        let get = |name: &str| {
            pairs
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let mut wrong = Vec::new();
        let mut number = |name: &str, default: usize, low: i64, high: Option<usize>| {
            let text = get(name)?;
            match number_within(name, text, low, high) {
                Ok(number) => Some(number),
                Err(invalid) => {
                    wrong.push(invalid);
                    Some(default)
                }
            }
        };
        let limit = number("limit", DEFAULT_LIMIT, 1, Some(MAX_LIMIT)).unwrap_or(DEFAULT_LIMIT);
        let offset = number("offset", 0, 0, None).unwrap_or(0);
        let shop_id = get("shop_id").and_then(|text| match Uuid::try_parse(text) {
            Ok(id) => Some(id),
            Err(e) => {
                let message = format!("Input should be a valid UUID, {e}");
                wrong.insert(0, Invalid::new("query -> shop_id", &message, "uuid_parsing"));
                None
            }
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let text = |name| get(name).map(str::to_owned);
        Ok(Self {
            shop_id,
            status: text("status"),
            severity: text("severity"),
            limit,
            offset,
        })
    }
}

fn number_within(name: &str, text: &str, low: i64, high: Option<usize>) -> Result<usize, Invalid> {
    let field = format!("query -> {name}");
    let Ok(number) = text.parse::<i64>() else {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        return Err(Invalid::new(&field, message, "int_parsing"));
    };
    if number < low {
        let message = format!("Input should be greater than or equal to {low}");
        return Err(Invalid::new(&field, &message, "greater_than_equal"));
    }
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    match high {
        Some(high) if number > high => {
            let message = format!("Input should be less than or equal to {high}");
            Err(Invalid::new(&field, &message, "less_than_equal"))
        }
        _ => Ok(number),
    }
}
