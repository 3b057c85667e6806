//! Between the hub's areas and the broker: what the hub says becomes messages, and commands become questions to the hub. What both
//! mean stands in `panel.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use watchpost_sink::{ArmOutcome, ArmRequest, Arming, ArmingNews, Fail, Host, Level};

use crate::panel::Panel;
use crate::wire::{Message, Received};

/// The alarm panels of a site.
pub(crate) struct Desk {
    panel: Arc<Mutex<Panel>>,
    arming: Arming,
    updates: mpsc::UnboundedReceiver<Vec<Message>>,
    host: Host,
}

impl Desk {
    /// Begins to follow the areas.
    ///
    /// # Errors
    /// When the site does not let this sink arm.
    pub(crate) fn open(panel: Panel, host: &Host) -> Result<Self, Fail> {
        let panel = Arc::new(Mutex::new(panel));
        let (published, updates) = mpsc::unbounded_channel();
        let (shown, log) = (Arc::clone(&panel), host.clone());
        let take = move |news| {
            let messages = match news {
                ArmingNews::Areas(areas) => lock(&shown).show(areas),
                ArmingNews::Answer {
                    outcome: ArmOutcome::Done,
                    ..
                } => return,
                ArmingNews::Answer { text, .. } => {
                    log.log(Level::Info, format_args!("what was asked for at a panel: {text}"));
                    lock(&shown).refuse(&text)
                }
                _ => return,
            };
            // Who would publish them has ended.
            let _ = published.send(messages);
        };
        let arming = host.arming(take).ok_or_else(|| {
            Fail::bad_config(
                "/home_assistant/panel",
                "it is not granted under [sink.sandbox]: add `arm = true`",
            )
        })?;
        Ok(Self {
            panel,
            arming,
            updates,
            host: host.clone(),
        })
    }

    /// What is subscribed to.
    pub(crate) fn filter(&self) -> String {
        lock(&self.panel).filter()
    }

    /// What is to be published next.
    pub(crate) async fn update(&mut self) -> Vec<Message> {
        match self.updates.recv().await {
            Some(messages) => messages,
            // The other end is held by what informs us, which lives as long as this.
            None => std::future::pending().await,
        }
    }

    /// Asks the hub for what someone has published.
    pub(crate) fn carry_out(&self, received: &Received) {
        let refuse = |why: &str| {
            self.host
                .log(Level::Warn, format_args!("a command is refused: {why}"));
        };
        let wish = match lock(&self.panel).wish(received) {
            Ok(wish) => wish,
            Err(why) => return refuse(&why),
        };
        let request = ArmRequest {
            area: &wish.area,
            code: &wish.code,
            ..ArmRequest::default()
        };
        if self.arming.ask(wish.act, request).is_none() {
            refuse("there were too many, or it is too long");
        }
    }
}

fn lock(panel: &Mutex<Panel>) -> MutexGuard<'_, Panel> {
    panel.lock().unwrap_or_else(PoisonError::into_inner)
}
