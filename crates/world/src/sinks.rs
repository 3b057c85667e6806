//! The children of the sinks: what starts them is real, they are not. Each delivery takes effect half-way through its call.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use watchpost_hub::{Child, Launched, Launcher, Processes};
use watchpost_sinkhost_client::{Event, Exit, ExitKind, Job, NotQueued, Note, Outcome};

use crate::scenario::Mood;
use crate::story::Story;

/// What a delivery takes when all is well.
const USUAL: Duration = Duration::from_millis(40);

/// A delivery that took effect.
#[derive(Clone, Debug)]
pub struct Effect {
    pub sink: String,
    pub alert: String,
    pub at: Instant,
}

/// All sinks. Clones are the same ones.
#[derive(Clone)]
pub struct Sinks(Arc<Mutex<State>>);

struct State {
    moods: BTreeMap<String, Mood>,
    effects: Vec<Effect>,
    /// When each alert was delivered last, by sink.
    last: BTreeMap<(String, String), Instant>,
    /// Deliveries that were made twice although it was known how the first one ended, and that no one has asked for yet.
    twice: Vec<String>,
    /// When it could not be known at a sink how calls ended; at all sinks for the hub's own end.
    unknown: Vec<(Option<String>, Instant)>,
    pids: u32,
    story: Story,
}

impl Sinks {
    pub fn new(story: Story) -> Self {
        Self(Arc::new(Mutex::new(State {
            moods: BTreeMap::new(),
            effects: Vec::new(),
            last: BTreeMap::new(),
            twice: Vec::new(),
            unknown: Vec::new(),
            pids: 1_000,
            story,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, sink: &str, mood: Mood) {
        self.state().moods.insert(sink.to_owned(), mood);
    }

    pub fn mood(&self, sink: &str) -> Mood {
        self.state().moods.get(sink).copied().unwrap_or_default()
    }

    /// From now on it cannot be known how what is in flight ended.
    pub fn unknown(&self, sink: Option<&str>) {
        self.state()
            .unknown
            .push((sink.map(str::to_owned), Instant::now()));
    }

    fn take_effect(&self, sink: &str, alert: &str) {
        let mut state = self.state();
        state.story.tell(sink, format_args!("delivers {alert}"));
        let at = Instant::now();
        state.effects.push(Effect {
            sink: sink.to_owned(),
            alert: alert.to_owned(),
            at,
        });
        let before = state.last.insert((sink.to_owned(), alert.to_owned()), at);
        let was_unknown = |before: Instant| {
            let mut unknown = state.unknown.iter();
            unknown.any(|(of, when)| of.as_ref().is_none_or(|of| of == sink) && *when >= before)
        };
        if before.is_some_and(|before| !was_unknown(before)) {
            state.twice.push(format!("sink {sink} got {alert} twice"));
        }
    }

    /// All deliveries that took effect, in their order.
    pub fn effects(&self) -> Vec<Effect> {
        self.state().effects.clone()
    }

    /// The alerts that a sink has delivered.
    pub fn delivered(&self, sink: &str) -> BTreeSet<String> {
        let state = self.state();
        let of_sink = state.effects.iter().filter(|effect| effect.sink == sink);
        of_sink.map(|effect| effect.alert.clone()).collect()
    }

    /// When a delivery first took effect.
    pub fn first(&self, sink: &str, alert: &str) -> Option<Instant> {
        let state = self.state();
        let mut of_alert = state
            .effects
            .iter()
            .filter(|effect| effect.sink == sink && effect.alert == alert);
        of_alert.next().map(|effect| effect.at)
    }

    /// Deliveries that were made twice although it was known how the first one ended, since this was asked last.
    pub fn twice(&self) -> Vec<String> {
        std::mem::take(&mut self.state().twice)
    }

    /// What starts the children of this sink.
    pub fn launcher(&self, sink: &str) -> Arc<dyn Launcher> {
        Arc::new(Starter {
            sink: sink.to_owned(),
            sinks: self.clone(),
        })
    }
}

struct Starter {
    sink: String,
    sinks: Sinks,
}

type Launching = Pin<Box<dyn Future<Output = Result<Launched, String>>>>;

impl Launcher for Starter {
    fn launch(&self) -> Launching {
        let pid = {
            let mut state = self.sinks.state();
            state.pids += 1;
            state.pids
        };
        let (events, receiver) = mpsc::unbounded_channel();
        let child = Plugin(Rc::new(Running {
            sink: self.sink.clone(),
            sinks: self.sinks.clone(),
            pid,
            events,
            calls: RefCell::default(),
            gone: RefCell::new(false),
        }));
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            let events = stream::unfold(receiver, |mut receiver| async move {
                Some((receiver.recv().await?, receiver))
            });
            Ok(Launched::new(Box::new(child), Box::pin(events)))
        })
    }

    fn over_quota(&self, _: &Processes) -> Option<String> {
        None
    }
}

struct Plugin(Rc<Running>);

struct Running {
    sink: String,
    sinks: Sinks,
    pid: u32,
    events: mpsc::UnboundedSender<Event>,
    calls: RefCell<BTreeSet<u64>>,
    gone: RefCell<bool>,
}

impl Running {
    fn done(&self, call_id: u64, outcome: Outcome, note: &str) {
        if !self.calls.borrow_mut().remove(&call_id) {
            return;
        }
        let notes = Arc::from([Note::new(note)]);
        let _ = self.events.send(Event::Done {
            call_id,
            outcome,
            notes,
        });
    }

    fn exit(&self, how: ExitKind, blamed: Option<u64>) {
        if self.gone.replace(true) {
            return;
        }
        self.sinks.unknown(Some(&self.sink));
        let unfinished = std::mem::take(&mut *self.calls.borrow_mut())
            .into_iter()
            .collect();
        let _ = self.events.send(Event::Exited(Exit {
            how,
            blamed,
            unfinished,
        }));
    }

    fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    async fn deliver(&self, call: u64, alert: &str, timeout: Duration) {
        let _ = self.events.send(Event::Begun { call_id: call });
        let time = match self.sinks.mood(&self.sink) {
            Mood::Slow => USUAL * 100,
            _ => USUAL,
        };
        sleep(time / 2).await;
        match self.sinks.mood(&self.sink) {
            _ if self.is_gone() => {}
            Mood::Down => {
                sleep(time / 2).await;
                self.done(call, Outcome::Retry { after: None }, "451 not now");
            }
            Mood::Refuses => self.done(call, Outcome::Permanent, "550 no such person"),
            Mood::Crashes => self.exit(ExitKind::Signal(11), Some(call)),
            Mood::Hangs => {
                sleep(timeout.saturating_sub(time / 2)).await;
                self.done(call, Outcome::TimedOut, "the call missed its deadline");
                self.exit(ExitKind::TimedOut, None);
            }
            Mood::Well | Mood::Slow => {
                self.sinks.take_effect(&self.sink, alert);
                sleep(time / 2).await;
                if !self.is_gone() {
                    self.done(call, Outcome::Ok, "250 taken");
                }
            }
        }
    }
}

impl Child for Plugin {
    fn pid(&self) -> u32 {
        self.0.pid
    }

    fn probes(&self) -> bool {
        false
    }

    fn sandbox_gaps(&self) -> Vec<String> {
        Vec::new()
    }

    fn memory(&self) -> Option<u64> {
        None
    }

    fn deliver(&self, job: Job) -> Result<(), NotQueued> {
        if self.0.is_gone() {
            return Err(NotQueued::Gone);
        }
        self.0.calls.borrow_mut().insert(job.call_id);
        let running = Rc::clone(&self.0);
        spawn_local(async move { running.deliver(job.call_id, &job.alert.id, job.timeout).await });
        Ok(())
    }

    fn probe(&self, _: u64, _: Duration) -> Result<(), NotQueued> {
        Err(NotQueued::Gone)
    }

    fn kill(&self, why: String) {
        self.0.exit(ExitKind::OverLimit(why), None);
    }

    fn cancel(&self, _: u64) {}

    fn end(&self, _: Duration) {
        self.0.exit(ExitKind::Stopped, None);
    }
}
