//! Fetches the pictures of records. A failure that passes costs no picture: the record is left for the next pass.

use std::cell::RefCell;
use std::collections::HashMap;

use watchpost_core::{ConnectFailure, FailureKind};
use watchpost_visionguard::rest::Anomaly;

use super::super::context::ConnectionContext;
use super::super::credentials::Session;

/// Passes in which the picture of a record may fail before its alert is stored without it.
const MAX_PASSES: u32 = 3;

/// Records whose failures are counted.
const MAX_COUNTED: usize = 10_000;

/// What became of a picture.
pub(super) enum Fetched {
    /// It is here, or never will be, for this reason.
    Settled(Result<Vec<u8>, String>),
    /// It may be available later.
    Later(ConnectFailure),
}

/// How often the picture of each record has failed.
#[derive(Debug, Default)]
pub(super) struct PictureRetries(RefCell<HashMap<String, u32>>);

impl PictureRetries {
    /// Fetches the picture of a record. A session that has expired is renewed.
    pub(super) async fn fetch(
        &self,
        context: &ConnectionContext,
        session: &RefCell<Session>,
        anomaly: &Anomaly,
    ) -> Fetched {
        let fetched = attempt(context, session, anomaly).await;
        let Fetched::Later(failure) = fetched else {
            self.0.borrow_mut().remove(&anomaly.id);
            return fetched;
        };
        if self.is_last(&anomaly.id) {
            return Fetched::Settled(Err(format!("the backend did not give the picture: {failure}")));
        }
        Fetched::Later(failure)
    }

    /// Counts a failure. Whether it was the last one that is waited for.
    fn is_last(&self, record: &str) -> bool {
        let mut failed = self.0.borrow_mut();
        if failed.len() >= MAX_COUNTED && !failed.contains_key(record) {
            return true;
        }
        let passes = failed.entry(record.to_owned()).or_default();
        *passes += 1;
        let last = *passes >= MAX_PASSES;
        if last {
            failed.remove(record);
        }
        last
    }
}

/// One attempt, and a second one with a new session where the first was refused.
pub(super) async fn attempt(
    context: &ConnectionContext,
    session: &RefCell<Session>,
    anomaly: &Anomaly,
) -> Fetched {
    let Some(url) = &anomaly.image_url else {
        return Fetched::Settled(Err("the backend has no picture of it".to_owned()));
    };
    let mut current = session.borrow().clone();
    let mut outcome = context.api.picture(&current.token, url).await;
    if matches!(&outcome, Err(e) if e.kind.ends_session()) {
        context.credentials.forget(&current);
        if let Some(renewed) = context.session(true).await {
            session.replace(renewed.clone());
            current = renewed;
            outcome = context.api.picture(&current.token, url).await;
        }
    }
    match outcome {
        Ok(bytes) => Fetched::Settled(Ok(bytes.to_vec())),
        Err(e) if matches!(e.kind, FailureKind::Http(404) | FailureKind::Address) => {
            Fetched::Settled(Err(format!("the backend did not give the picture: {e}")))
        }
        Err(e) => Fetched::Later(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_may_fail_in_two_passes_and_is_missing_after_the_third() {
        let retries = PictureRetries::default();
        let last = [(); 3].map(|()| retries.is_last("a"));
        assert_eq!(last, [false, false, true]);
        assert!(!retries.is_last("b"));
        assert!(!retries.is_last("a"), "it begins again");
    }
}
