//! Answers that are given in place of the backend's own: what a proxy, a login page or an overloaded server says.
//! It knows requests by their method and address only.

use serde::{Deserialize, Serialize};

/// Most of them at a time.
pub(crate) const MAX_INSTEAD: usize = 32;

/// An answer in place of the backend's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    /// To which requests: those in whose `METHOD /path?query` this text stands, such as `/api/anomalies?` or `PATCH `.
    pub to: String,
    /// The status.
    pub status: u16,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The header `Location`.
    #[serde(default)]
    pub location: Option<String>,
    /// So many of these requests are answered as ever first.
    #[serde(default)]
    pub after: u64,
    /// So many are answered like this; without it, all.
    #[serde(default)]
    pub times: Option<u64>,
}

/// Those that are in force; the first that fits is given.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<Instead>);

impl Answers {
    /// From now on this one too; the oldest go where there are too many.
    pub(crate) fn add(&mut self, instead: Instead) {
        if self.0.len() == MAX_INSTEAD {
            self.0.remove(0);
        }
        self.0.push(instead);
    }

    /// All is answered as ever.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is answered to this request, if it is not what the backend says.
    pub(crate) fn take(&mut self, request: &str) -> Option<Instead> {
        let fitting = self.0.iter_mut().filter(|instead| request.contains(&instead.to));
        for instead in fitting {
            if instead.after > 0 {
                instead.after -= 1;
                continue;
            }
            match &mut instead.times {
                None => {}
                Some(0) => continue,
                Some(times) => *times -= 1,
            }
            return Some(instead.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_answered_as_ever_some_instead_and_then_as_ever_again() {
        let mut answers = Answers::default();
        let read = r#"{"to":"GET /api/","status":401,"after":1,"times":2}"#;
        answers.add(serde_json::from_str(read).unwrap());
        let statuses: Vec<_> = ["/api/a", "/shops", "/api/b", "/api/c", "/api/d"]
            .into_iter()
            .map(|path| answers.take(&format!("GET {path}")).map(|instead| instead.status))
            .collect();
        assert_eq!(statuses, [None, None, Some(401), Some(401), None]);
    }
}
