//! One alert on its way: what every request about it carries, and what is remembered of it.

use std::cell::RefCell;

use watchpost_sink::picture::Refused;
use watchpost_sink::{Call, Fail, Unanswered};

use crate::answer::Answer;
use crate::send::{HttpSender, NoAnswer, Request};

/// After how many tries over which the connection ended in the middle of a request it is taken to be too large: some
/// servers close the connection instead of saying so.
const MAX_INTERRUPTED: u32 = 2;

/// Sends the requests about one alert.
pub(crate) struct DeliveryContext<'a> {
    http: &'a HttpSender,
    unanswered: RefCell<&'a mut Unanswered>,
    call: &'a Call<'a>,
    id: &'a str,
    headers: Vec<(String, String)>,
}

impl<'a> DeliveryContext<'a> {
    /// For the alert with this id. `headers` are the site's own.
    pub(crate) fn new(
        http: &'a HttpSender,
        unanswered: &'a mut Unanswered,
        call: &'a Call<'a>,
        id: &'a str,
        headers: Vec<(String, String)>,
    ) -> Self {
        Self {
            http,
            unanswered: RefCell::new(unanswered),
            call,
            id,
            headers,
        }
    }

    /// Sends a request with the alert's id and the site's headers; an answer other than 2xx is a refusal.
    pub(crate) fn deliver(&self, request: Request) -> Result<Answer, Refused> {
        let answer = self.send(request)?;
        answer.accept()?;
        Ok(answer)
    }

    /// The same, whatever the answer.
    pub(crate) fn send(&self, request: Request) -> Result<Answer, Refused> {
        let mut request = request.header("Idempotency-Key", self.id);
        if !request.omit_credentials {
            for (name, value) in &self.headers {
                request.headers.retain(|(set, _)| !set.eq_ignore_ascii_case(name));
                request = request.header(name, value);
            }
        }
        self.http
            .send(&request, self.call)
            .map_err(|no_answer| match no_answer {
                NoAnswer::Unanswered { why, closed } if !request.prepares => {
                    let fail = self.unanswered(&why);
                    // What is closed again and again is perhaps too much.
                    if closed && self.call.attempt() > MAX_INTERRUPTED {
                        Refused::Unwanted(fail)
                    } else {
                        fail.into()
                    }
                }
                NoAnswer::Interrupted(fail) if self.call.attempt() > MAX_INTERRUPTED => {
                    Refused::TooLarge(fail)
                }
                other => other.into_fail().into(),
            })
    }

    /// The message was sent, and what came back does not say whether it is done.
    pub(crate) fn unanswered(&self, why: &str) -> Fail {
        self.unanswered.borrow_mut().sent(self.id, why)
    }
}
