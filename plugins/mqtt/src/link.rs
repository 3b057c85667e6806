//! Keeps a connection to the broker on a thread of its own, and hands messages over it one delivery at a time.
//!
//! A connection that breaks is never mended: what was in flight has failed, and a new one is made. So a message is sent
//! again only where the caller asks for it again.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc as queue;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{sleep, timeout_at};
use watchpost_sink::{Call, Fail, Host, Level, Outcome};

use crate::carry::{Failure, Progress, Stopped, carry, reason};
use crate::desk::Desk;
use crate::error::{hung_up, no_acknowledgements, no_retain};
use crate::wire::{Dial, Event, Message, ONLINE, Wire};

/// Wait before the second try to connect; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest wait between two tries. An alert that comes is a reason to try at once.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long a delivery may take where the caller sets no limit.
const USUAL_PATIENCE: Duration = Duration::from_secs(30);

/// What is left of the caller's time for the answer.
const MARGIN: Duration = Duration::from_millis(500);

/// How often a waiting caller looks whether it was cancelled.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long the thread may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Cameras that are announced. A backend that invents streams shall not fill the broker.
const MAX_ANNOUNCED: usize = 1_000;

/// The link. Dropping it ends the connection, and the broker publishes the last will.
#[derive(Debug)]
pub(crate) struct Link {
    jobs: queue::UnboundedSender<Job>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Something to deliver.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// In this order.
    pub(crate) messages: Vec<Message>,
    /// What has to be known before, and again after each connection.
    pub(crate) announcement: Option<Message>,
}

#[derive(Debug)]
struct Job {
    delivery: Delivery,
    deadline: Instant,
    answer: mpsc::SyncSender<Result<(), Failure>>,
    /// Ends when the caller does not wait for the answer any more.
    abandoned: oneshot::Receiver<()>,
}

impl Link {
    /// Starts the thread, which connects. `greeting` is published after every connection.
    pub(crate) fn start(
        dial: Dial,
        greeting: Vec<Message>,
        desk: Option<Desk>,
        host: &Host,
    ) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .build()?;
        let (jobs, waiting) = queue::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let task = ConnectionTask {
            dial,
            greeting,
            desk,
            host: host.clone(),
            refusal: None,
            last_logged: None,
        };
        let thread = thread::Builder::new()
            .name("mqtt".into())
            .spawn(move || run(runtime, task, waiting, stopped))?;
        Ok(Self {
            jobs,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Hands a delivery over and waits until the broker has acknowledged all of it.
    pub(crate) fn deliver(&self, delivery: Delivery, call: &Call<'_>) -> Result<(), Failure> {
        let patience = call
            .remaining()
            .map_or(USUAL_PATIENCE, |left| left.saturating_sub(MARGIN));
        let deadline = Instant::now() + patience;
        let (answer, answered) = mpsc::sync_channel(1);
        let (_waiting, abandoned) = oneshot::channel();
        let job = Job {
            delivery,
            deadline,
            answer,
            abandoned,
        };
        self.jobs
            .send(job)
            .map_err(|_| Fail::fatal("the thread that keeps the connection has ended"))?;
        loop {
            match answered.recv_timeout(LOOK_INTERVAL) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Fail::fatal("the thread that keeps the connection has ended").into());
                }
                Err(RecvTimeoutError::Timeout) if call.cancelled() => {
                    return Err(Fail::retry("the call was cancelled").into());
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline + MARGIN / 2 => {
                    return Err(Fail::retry("there is no connection to the broker yet").into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but that it panicked, which the log shows.
            let _ = thread.join();
        }
    }
}

fn run(
    runtime: Runtime,
    mut task: ConnectionTask,
    mut jobs: queue::UnboundedReceiver<Job>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            () = task.keep(&mut jobs) => {}
        }
    });
    // A name that is being resolved cannot be interrupted.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}

struct ConnectionTask {
    dial: Dial,
    greeting: Vec<Message>,
    /// The site's panels, if it has any.
    desk: Option<Desk>,
    host: Host,
    /// The broker did not want the greeting, and no delivery has been better since. Some brokers hang up then.
    refusal: Option<Fail>,
    /// What was last logged of the connection, so that it is not logged again and again.
    last_logged: Option<String>,
}

impl ConnectionTask {
    /// Connects, again and again, until nothing can come to be delivered.
    async fn keep(&mut self, jobs: &mut queue::UnboundedReceiver<Job>) {
        let mut wait = FIRST_WAIT;
        let mut first: Option<Job> = None;
        loop {
            match self.connect().await {
                Ok(wire) => {
                    self.log_change(Level::Info, "connected to the broker");
                    let begun = Instant::now();
                    let fail = self.serve(wire, first.take(), jobs).await;
                    let Some(fail) = fail else { return };
                    let fail = self.refusal.take().unwrap_or(fail);
                    self.log_change(Level::Warn, &reason(&fail));
                    // One that never lasts, for instance because another client has the same name, is not hurried.
                    if begun.elapsed() > LONGEST_WAIT {
                        wait = FIRST_WAIT;
                    }
                }
                Err(fail) => {
                    self.log_change(Level::Warn, &reason(&fail));
                    let mut waiting = first.take().or_else(|| jobs.try_recv().ok());
                    while let Some(job) = waiting {
                        job.answer(Err(fail.clone().into()));
                        waiting = jobs.try_recv().ok();
                    }
                }
            }
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => first = Some(job),
                    None => return,
                },
                messages = update(&mut self.desk) => for message in &messages {
                    self.learn(message);
                },
                () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
            }
        }
    }

    /// Makes a connection, publishes the greeting, and has commands sent on.
    async fn connect(&mut self) -> Result<Wire, Fail> {
        let wire = self.greet().await?;
        if let Some(desk) = &self.desk {
            wire.subscribe(&desk.filter())?;
        }
        Ok(wire)
    }

    async fn greet(&mut self) -> Result<Wire, Fail> {
        let mut wire = self.open().await?;
        let status = Message {
            topic: self.dial.status_topic.clone(),
            payload: ONLINE.into(),
            content_type: None,
            retain: true,
            picture: false,
        };
        let greeting = std::iter::once(status)
            .chain(self.greeting.iter().cloned())
            .collect();
        let limit = tokio::time::Instant::now() + USUAL_PATIENCE;
        match timeout_at(limit, carry(&mut wire, greeting, &mut Progress::default())).await {
            Ok(Ok(())) => Ok(wire),
            Ok(Err(Stopped::Refused(failure))) => {
                // Alerts may be welcome all the same.
                let fail = failure.into_fail();
                let why = reason(&fail);
                self.log_change(Level::Warn, &format!("status or discovery: {why}"));
                self.refusal = Some(fail);
                Ok(wire)
            }
            // No alert is to blame, whatever it is.
            Ok(Err(Stopped::Broken(_, fail))) if fail.outcome() == Outcome::Permanent => {
                Err(Fail::retry(reason(&fail)))
            }
            Ok(Err(Stopped::Broken(_, fail))) => Err(fail),
            Err(_) => Err(Fail::retry("the broker does not acknowledge what it is sent")),
        }
    }

    /// A connection that the broker has accepted, with as much of what the site wants as it can do.
    async fn open(&mut self) -> Result<Wire, Fail> {
        loop {
            let mut wire = Wire::new(&self.dial)?;
            let fail = loop {
                match wire.next().await {
                    Ok(Event::Open) => return Ok(wire),
                    Ok(_) => {}
                    Err(fail) => break fail,
                }
            };
            // The last will alone is reason enough for some brokers to refuse.
            let abilities = &mut self.dial.abilities;
            if abilities.retain && fail == no_retain() {
                abilities.retain = false;
            } else if abilities.acknowledges && fail == no_acknowledgements() {
                abilities.acknowledges = false;
            } else {
                return Err(hung_up(self.dial.version, fail));
            }
            self.log_change(Level::Warn, &format!("{}; goes on without", reason(&fail)));
        }
    }

    /// Hands deliveries over a connection until it breaks, or until there can be no more.
    async fn serve(
        &mut self,
        mut wire: Wire,
        first: Option<Job>,
        jobs: &mut queue::UnboundedReceiver<Job>,
    ) -> Option<Fail> {
        let mut next = first;
        loop {
            while let Some(received) = wire.take_kept() {
                self.hear(Event::Received(received));
            }
            let broken = match next.take() {
                Some(job) => self.hand_over(&mut wire, job).await,
                None => tokio::select! {
                    event = wire.next() => match event {
                        Ok(event) => {
                            self.hear(event);
                            None
                        }
                        Err(fail) => Some(fail),
                    },
                    messages = update(&mut self.desk) => self.publish(&mut wire, messages).await,
                    job = jobs.recv() => self.hand_over(&mut wire, job?).await,
                },
            };
            if broken.is_some() {
                return broken;
            }
        }
    }

    /// What the broker says when nothing is in flight.
    fn hear(&mut self, event: Event) {
        let Some(desk) = &self.desk else { return };
        match event {
            Event::Received(received) => desk.carry_out(&received),
            Event::Subscribed(false) => {
                let filter = desk.filter();
                self.host.log(
                    Level::Warn,
                    format_args!(
                        "the broker does not let this user subscribe to `{filter}`: no one can arm there. Change its access list"
                    ),
                );
            }
            Event::Open | Event::Answered(_) | Event::Subscribed(true) | Event::Other => {}
        }
    }

    /// Publishes what is new of the panels, and again after each connection. Gives the reason if the connection is of no use
    /// after it.
    async fn publish(&mut self, wire: &mut Wire, mut messages: Vec<Message>) -> Option<Fail> {
        messages.retain(|message| self.learn(message));
        let limit = tokio::time::Instant::now() + USUAL_PATIENCE;
        match timeout_at(limit, carry(wire, messages, &mut Progress::default())).await {
            Ok(Ok(())) => None,
            Ok(Err(Stopped::Refused(failure))) => {
                let why = reason(&failure.into_fail());
                self.log_change(Level::Warn, &format!("alarm panel: {why}"));
                None
            }
            Ok(Err(Stopped::Broken(_, fail))) => Some(fail),
            Err(_) => Some(Fail::retry("the broker does not acknowledge what it is sent")),
        }
    }

    /// One delivery. Gives the reason if the connection is of no use after it.
    async fn hand_over(&mut self, wire: &mut Wire, job: Job) -> Option<Fail> {
        let Job {
            delivery,
            deadline,
            answer,
            mut abandoned,
        } = job;
        if abandoned.try_recv() == Err(TryRecvError::Closed) {
            return None;
        }
        let new = delivery.announcement.filter(|message| self.learn(message));
        let messages = new.into_iter().chain(delivery.messages).collect();
        let mut progress = Progress::default();
        let outcome = tokio::select! {
            outcome = timeout_at(deadline.into(), carry(wire, messages, &mut progress)) => outcome,
            // Half a delivery is in flight, and its acknowledgement would be taken for that of the next.
            _ = &mut abandoned => return Some(Fail::retry("a delivery was cancelled")),
        };
        let (said, broken) = match outcome {
            Ok(Ok(())) => {
                self.refusal = None;
                (Ok(()), None)
            }
            Ok(Err(Stopped::Refused(failure))) => (Err(failure), None),
            Ok(Err(Stopped::Broken(failure, fail))) => match self.refusal.take() {
                // Some brokers hang up on a client whose status or discovery they refuse.
                Some(refusal) => (Err(refusal.clone().into()), Some(refusal)),
                None => (Err(failure), Some(fail)),
            },
            Err(_) => {
                let why = "the broker does not acknowledge what it is sent";
                let failure = if progress.last_sent {
                    Failure::Unanswered(why.to_owned())
                } else {
                    Fail::retry(why).into()
                };
                (Err(failure), Some(Fail::retry(why)))
            }
        };
        // The caller does not wait any more where this fails.
        let _ = answer.try_send(said);
        broken
    }

    /// Remembers an announcement for the next connection. Whether it is new.
    fn learn(&mut self, message: &Message) -> bool {
        match self
            .greeting
            .iter()
            .position(|known| known.topic == message.topic)
        {
            Some(index) if self.greeting[index] == *message => return false,
            Some(index) => self.greeting[index].clone_from(message),
            None if self.greeting.len() < MAX_ANNOUNCED => self.greeting.push(message.clone()),
            None => return false,
        }
        true
    }

    /// Logs a change of the connection, once.
    fn log_change(&mut self, level: Level, what: &str) {
        if self.last_logged.as_deref() != Some(what) {
            self.host.log(level, what);
            self.last_logged = Some(what.to_owned());
        }
    }
}

/// What is new of the panels. It waits for ever where there are none.
async fn update(desk: &mut Option<Desk>) -> Vec<Message> {
    match desk {
        Some(desk) => desk.update().await,
        None => std::future::pending().await,
    }
}

impl Job {
    fn answer(self, outcome: Result<(), Failure>) {
        // The caller does not wait any more where this fails.
        let _ = self.answer.try_send(outcome);
    }
}
