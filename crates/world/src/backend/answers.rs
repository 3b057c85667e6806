//! The answers to what is asked over HTTP.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::wire::{read_token, token};
use super::{BAD_SHOP, Backend, Refusal, Row, SlotAnswer, State, Status};

/// A question.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub token: Option<String>,
    pub body: Vec<u8>,
    /// Another client than the hub that is watched asks.
    pub rival: bool,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    /// The status of an answer that is not sent.
    pub const NONE: u16 = 0;

    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    fn text(status: u16, json: String) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: json.into_bytes(),
        }
    }

    fn detail(status: u16, detail: &str) -> Self {
        Self::json(status, &json!({ "detail": detail }))
    }

    /// What the backend says to everything that it does not find.
    fn not_found(path: &str) -> Self {
        Self::json(
            404,
            &json!({"error": "Not Found", "message": "The requested endpoint does not exist", "path": path}),
        )
    }

    /// The connection ends without one.
    fn none() -> Self {
        Self::text(Self::NONE, String::new())
    }

    /// What it says where it has not expected something.
    pub fn broken() -> Self {
        Self::json(
            500,
            &json!({"error": "Internal Server Error", "message": "An unexpected error occurred"}),
        )
    }
}

impl Request {
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Backend {
    /// The user of a token that is good.
    pub fn user_of(&self, token: &str) -> Option<usize> {
        let (id, made) = read_token(token, self.now())?;
        let state = self.state();
        let user = state.users.iter().position(|user| user.id == id);
        user.filter(|_| made >= state.tokens_since)
    }

    /// Answers a question.
    pub fn answer(&self, request: &Request) -> Answer {
        let parts: Vec<_> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["health"]) => return Answer::json(200, &json!({"status": "degraded"})),
            ("GET", ["ws", "connections"]) => return self.connections(),
            ("GET", ["ws", "connections", user]) => return self.connection(user, request),
            _ => {}
        }
        let database_down = self.state().database_down;
        if database_down {
            return Answer::broken();
        }
        if let ("POST", ["auth", "login"]) = (request.method.as_str(), parts.as_slice()) {
            return self.login(&request.body);
        }
        let Some(bearer) = &request.token else {
            return Answer::detail(403, "Not authenticated");
        };
        let Some(user) = self.user_of(bearer) else {
            let known = read_token(bearer, self.now()).is_some();
            return Answer::detail(
                401,
                if known {
                    "User not found"
                } else {
                    "Invalid or expired token"
                },
            );
        };
        let mut state = self.state();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["auth", "me"]) => {
                let user = &state.users[user];
                Answer::json(
                    200,
                    &json!({"id": user.id, "name": "", "email": user.email, "role": "OWNER"}),
                )
            }
            ("GET", ["shops"]) => {
                let shop = |shop: &usize| json!({"id": state.shops[*shop], "name": format!("shop {shop}")});
                Answer::json(200, &state.users[user].shops.iter().map(shop).collect())
            }
            ("GET", ["api", "anomalies"]) => state.list(request),
            ("GET", ["api", "anomalies", "stats", "summary"]) => {
                Answer::json(200, &json!({"total": state.rows.len()}))
            }
            ("GET", ["api", "anomalies", "frames", _, file]) => state.picture(file, &request.path),
            ("GET", ["api", "anomalies", id]) => match state.rows.iter_mut().find(|row| row.id == *id) {
                Some(row) => {
                    if row.status == Status::Pending {
                        row.seen_pending = Some(Instant::now());
                    }
                    row.shown()
                }
                None => Answer::not_found(&request.path),
            },
            ("PATCH", ["api", "anomalies", id]) => state.change(id, request),
            _ => Answer::not_found(&request.path),
        }
    }

    fn login(&self, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let now = self.now();
        let state = self.state();
        let Some(user) = state.users.iter().find(|user| body["email"] == user.email) else {
            return Answer::detail(401, "Invalid credentials");
        };
        let token = token(&user.id, now);
        Answer::json(
            200,
            &json!({"access_token": token, "refresh_token": token, "token_type": "bearer",
                "user": {"id": user.id, "name": "", "email": user.email, "role": "OWNER"}}),
        )
    }

    fn connections(&self) -> Answer {
        let state = self.state();
        Answer::json(
            200,
            &json!({"total_connections": state.slots.len(), "connections": []}),
        )
    }

    fn connection(&self, id: &str, request: &Request) -> Answer {
        let mut state = self.state();
        let found = state.users.iter().position(|known| known.id == id);
        let slot = found.and_then(|user| state.slots.get(&user)).cloned();
        if let Some(user) = found.filter(|_| !request.rival) {
            let socket = slot.as_ref().and_then(|slot| state.sockets.get(&slot.socket));
            let is_rivals = socket.is_some_and(|socket| socket.rival);
            let at = Instant::now();
            state.slot_answers.push(SlotAnswer { at, user, is_rivals });
        }
        let Some(slot) = slot else {
            return Answer::not_found(&request.path);
        };
        let uptime = slot.since.elapsed().as_secs_f64();
        Answer::json(
            200,
            &json!({"user_id": id, "connected": true, "connected_at": slot.connected_at,
                "uptime_seconds": uptime, "last_heartbeat": slot.connected_at, "seconds_since_heartbeat": 1.0}),
        )
    }
}

impl Refusal {
    fn answer(self) -> Answer {
        match self {
            Self::Broken => Answer::broken(),
            Self::Cut => Answer::none(),
        }
    }
}

impl Row {
    fn shown(&self) -> Answer {
        match self.infinite {
            true => Answer::broken(),
            false => Answer::text(200, self.json()),
        }
    }
}

impl State {
    fn picture(&self, file: &str, path: &str) -> Answer {
        if let Some(refusal) = self.refuses_pictures {
            return refusal.answer();
        }
        let id = file.trim_end_matches(".jpg");
        match self.rows.iter().find(|row| row.id == id) {
            Some(row) => Answer {
                status: 200,
                content_type: "image/jpeg",
                body: row.picture.clone(),
            },
            None => Answer::not_found(path),
        }
    }

    fn list(&mut self, request: &Request) -> Answer {
        let number = |name, usual: usize| match request.query(name) {
            Some(text) => text.parse().unwrap_or(usual),
            None => usual,
        };
        let (limit, offset) = (number("limit", 100), number("offset", 0));
        let shop = request
            .query("shop_id")
            .and_then(|id| self.shops.iter().position(|shop| shop == id));
        let Some(shop) = shop.filter(|shop| *shop != BAD_SHOP && self.unreadable_shop != Some(*shop)) else {
            return Answer::json(
                422,
                &json!({"error": "Validation Error", "message": "", "details": []}),
            );
        };
        self.clock_shown.insert(shop);
        let newest_first = self.lists[shop].iter().rev().map(|row| &self.rows[*row]);
        let page: Vec<_> = newest_first.skip(offset).take(limit).collect();
        if page.iter().any(|row| row.infinite) {
            return Answer::broken();
        }
        let page: Vec<_> = page.iter().map(|row| row.json()).collect();
        let (total, page) = (self.lists[shop].len(), page.join(","));
        Answer::text(200, format!(r#"{{"total":{total},"anomalies":[{page}]}}"#))
    }

    fn change(&mut self, id: &str, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let status = Status::ALL
            .into_iter()
            .find(|status| body["status"] == status.word());
        let row = self.rows.iter_mut().find(|row| row.id == id);
        match (row, status) {
            (Some(row), Some(status)) => {
                if row.is_known_to_be_judged() {
                    // Seen by the oracle: a person's verdict is never to be written over.
                    self.overwritten.push(row.id.clone());
                }
                row.status = status;
                row.shown()
            }
            (None, _) => Answer::not_found(&request.path),
            (_, None) => Answer::detail(400, "Invalid status"),
        }
    }
}
