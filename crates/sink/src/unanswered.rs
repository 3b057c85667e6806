//! What becomes of an alert that was all sent and not answered: it is repeated a few times, and then said.
//!
//! The receiver may have it. Without a memory the same alert would be sent again for ever, to people who get it every
//! time. The memory is kept in the instance's directory, as a restart must not begin it again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Fail, Host, Level};

/// How often an alert is sent whose receiver gives no answer that is understood.
const MAX_SENDS: u32 = 4;

/// How long to wait at least before each further time.
const WAITS: [Duration; MAX_SENDS as usize - 1] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(600),
];

/// How many alerts are remembered. More than that are never between two sends unless the receiver answers nothing at all.
const MAX_REMEMBERED: usize = 256;

/// The name of the file in the instance's directory.
const FILE: &str = "unanswered.json";

/// The alerts of one sink that were all sent and not answered.
pub struct Unanswered {
    host: Host,
    path: PathBuf,
    /// How often each was sent, by its id. Ids grow with time, so the first is the oldest.
    sends: BTreeMap<String, u32>,
}

impl Unanswered {
    /// What is remembered from before. A memory that cannot be read is begun empty.
    pub fn load(host: &Host) -> Self {
        let path = host.state_dir().join(FILE);
        let kept = std::fs::read(&path).ok();
        Self {
            host: host.clone(),
            sends: kept
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
            path,
        }
    }

    /// The alert was all sent once more, and nothing that came back is an answer. Gives what to say of it: to try again
    /// later, or after the last time that it will not be.
    #[must_use]
    pub fn sent(&mut self, id: &str, why: impl fmt::Display) -> Fail {
        let count = self.sends.get(id).copied().unwrap_or_default() + 1;
        let Some(wait) = WAITS.get(count as usize - 1) else {
            self.settled(id);
            return Fail::permanent(format_args!(
                "sent {MAX_SENDS} times, and never an answer that is understood: {why}; the receiver may have it"
            ));
        };
        self.sends.insert(id.to_owned(), count);
        if self.sends.len() > MAX_REMEMBERED {
            self.sends.pop_first();
        }
        self.save();
        Fail::retry(format_args!(
            "all of it was sent ({count} of {MAX_SENDS} times), and no answer is understood: {why}"
        ))
        .after(*wait)
    }

    /// The alert was answered, whatever the answer.
    pub fn settled(&mut self, id: &str) {
        if self.sends.remove(id).is_some() {
            self.save();
        }
    }

    fn save(&self) {
        let bytes = serde_json::to_vec(&self.sends).unwrap_or_default();
        let beside = self.path.with_extension("new");
        let saved = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &self.path));
        if let Err(error) = saved {
            let shown = self.path.display();
            let line = format_args!(
                "{shown} is not written, so a restart forgets how often alerts were sent: {error}"
            );
            self.host.log(Level::Warn, line);
        }
    }
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unanswered").field(&self.sends).finish()
    }
}
