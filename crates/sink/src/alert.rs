//! An alert as a sink sees it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::Severity;
use crate::clock::{END_OF_9999_MS, for_people, local};
use crate::words;

/// One alert.
#[derive(Clone, Debug)]
pub struct Alert<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) severity: Severity,
    pub(crate) title: Cow<'a, str>,
    pub(crate) text: Cow<'a, str>,
    pub(crate) json: Cow<'a, str>,
    pub(crate) parsed: OnceCell<Value>,
    pub(crate) unix_ms: u64,
    pub(crate) utc_offset_s: i32,
    pub(crate) frames: Vec<Frame<'a>>,
}

/// A picture of an alert.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    pub(crate) mime: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) bytes: &'a [u8],
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Alert<'_> {
    /// The same on every retry: letters, digits, `-` and `_`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// One line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A sentence or more, for a reader who has only this.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole alert as the text of a JSON object. Its keys and kinds stand in `watchpost_sink.h` below `THE DOCUMENT`. Of them
    /// `kind` is `"digest"` for the sum of alerts that were held, which says in `digest` what it sums up; `also_over` names
    /// further connections that the same alert came over; `visionguard.start_frame` is the first video frame that was judged.
    pub fn json_text(&self) -> &str {
        &self.json
    }

    /// The same, parsed at the first use. `Null` if it is no JSON, which Watchpost does not send.
    pub fn json(&self) -> &Value {
        self.parsed
            .get_or_init(|| serde_json::from_str(&self.json).unwrap_or(Value::Null))
    }

    /// When it happened, as far as is known, and else when it was received. Never after the year 9999, which is as far
    /// as calendars and mail go.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_ms.min(END_OF_9999_MS))
    }

    /// The same in milliseconds since 1970 UTC.
    pub fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    /// Seconds that the clocks at the site are ahead of UTC at [`time`](Self::time).
    pub fn utc_offset_s(&self) -> i32 {
        self.utc_offset_s
    }

    /// When it happened, by the clocks at the site: `2026-11-23T02:16:30+01:00`.
    pub fn local_time(&self) -> String {
        local(self.time(), self.utc_offset_s)
    }

    /// When Watchpost received it; the same as [`time`](Self::time) where the document does not say.
    pub fn received(&self) -> SystemTime {
        let text = self.json()["received_at"].as_str().unwrap_or_default();
        humantime::parse_rfc3339(text).unwrap_or_else(|_| self.time())
    }

    /// Whether it was received long after it happened. Such an alert is news, and no reason to wake anyone.
    pub fn is_late(&self) -> bool {
        self.json()["late"] == true
    }

    /// When it happened, for people, by the clocks at the site: `2026-11-23 02:16:30 +01:00`, and for a late one
    /// `2026-11-23 02:16:30 +01:00, late: received 2026-11-23 04:10:11 +01:00`.
    pub fn when(&self) -> String {
        let happened = for_people(&self.local_time());
        if self.is_late() {
            let received = local(self.received(), self.utc_offset_s);
            let values = [("happened", &*happened), ("received", &for_people(&received))];
            words::fill("when.late", &values)
        } else {
            happened
        }
    }

    /// What people call its camera: its name, or its id where it has none. `None` for what no camera has seen.
    pub fn camera(&self) -> Option<&str> {
        let camera = &self.json()["camera"];
        camera["name"].as_str().or_else(|| camera["id"].as_str())
    }

    /// The name of the site, if it has one.
    pub fn site(&self) -> Option<&str> {
        self.json()["site"].as_str()
    }

    /// Its pictures; mostly one, sometimes none.
    pub fn frames(&self) -> &[Frame<'_>] {
        &self.frames
    }
}

impl Frame<'_> {
    /// Media type, for instance `image/jpeg`.
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// A file name without directory, for instance `frame.jpg`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Pixels, if known.
    pub fn width(&self) -> Option<u32> {
        Some(self.width).filter(|width| *width > 0)
    }

    /// Pixels, if known.
    pub fn height(&self) -> Option<u32> {
        Some(self.height).filter(|height| *height > 0)
    }
}
