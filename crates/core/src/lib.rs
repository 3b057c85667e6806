//! The pure domain of Watchpost: what an alert is, where it goes, when it is tried again, and when a
//! link counts as dead.
//!
//! Nothing here does I/O, reads a clock or knows a runtime. State machines take `(now, event)` and
//! return effects, so every rule of the hub can be tested as a table.

#![forbid(unsafe_code)]

mod about;
mod alert;
#[cfg(test)]
mod alert_samples;
mod backlog_alarm;
mod backoff;
mod camera_book;
mod camera_ids;
mod circuit_breaker;
mod clock_watch;
mod correlator;
mod crash_tracker;
mod delivery;
mod event;
mod failure;
mod failure_log;
mod feed;
mod heartbeat;
mod host_checks;
mod ids;
mod in_flight;
mod link;
mod outage;
mod picture_retry;
mod rate_limited;
mod reconciliation;
mod retry;
mod roster;
mod routing;
mod schedule;
mod secret;
mod sink;
mod slot;
mod time;
mod twin;
mod write_back;

pub use about::About;
pub use alert::{
    Alert, AlertKind, BoundingBox, Camera, Confidence, Details, Digest, ParseSeverityError, Picture,
    Severity, UNKNOWN, Via, VisionGuard,
};
pub use backlog_alarm::BacklogAlarm;
pub use backoff::{Backoff, BackoffPolicy};
pub use camera_book::{AreaBook, CameraBook, CameraEntry, Sighting};
pub use camera_ids::CameraIds;
pub use circuit_breaker::CircuitBreaker;
pub use clock_watch::{ClockLook, ClockStep, ClockSteps, ClockWatch};
pub use correlator::{Correlation, Correlator};
pub use crash_tracker::{AfterCrash, CrashPolicy, CrashTracker};
pub use delivery::{DeliveryState, Outcome};
pub use event::{HUB, HubEvent};
pub use failure::{CloseReason, ConnectFailure, FailureKind};
pub use failure_log::FailureLog;
pub use feed::{Feed, FeedTracker};
pub use heartbeat::{HeartbeatAction, HeartbeatMachine, HeartbeatPolicy};
pub use host_checks::{LowDiskAlarm, SkewAlarm};
pub use ids::{AlertId, AlertIds};
pub use in_flight::InFlightBudget;
pub use link::{Link, LinkEffect, LinkEvent, LinkPolicy, LinkState};
pub use outage::OutageTracker;
pub use picture_retry::PictureRetry;
pub use rate_limited::RateLimitedCounter;
pub use reconciliation::{
    Bounds, Checkpoint, ListedRow, MatchKey, Reconciled, Reconciliation, SETTLE, SHOPS_INTERVAL, Unmatched,
};
pub use retry::{RetryPolicy, Verdict};
pub use roster::{Changes, Part, Roster};
pub use routing::{
    AboutMatch, Actor, AfterLoss, AlertAct, AlertCommand, Area, AreaEvent, AreaNews, AreaNote, AreaPolicy,
    AreaState, Areas, ArmedWord, ArmingCommand, ArmingRefused, AutoArm, Blocker, CODE_LOCK, Calendar,
    CancelReason, Cancellation, CancelledAlerts, Cause, CodeChannel, CodeChannels, CodeRefused,
    CommandRefused, ConditionKind, Confirm, DueDigest, DueStep, Effects, Escalation, EscalationEnd,
    EscalationEvent, EscalationKey, EscalationNote, Escalations, Expectation, FollowUp, Followed, GroupKey,
    GroupLabel, Grouping, Heard, HeldAlert, HeldAlerts, HeldBack, HoldCause, HoldKey, HoldWindow, Holds,
    Holiday, Hush, Inhibition, Inhibitions, Label, LastHeard, LatePolicy, LetGo, LostLinks, MAX_AREAS,
    MAX_CONFIRM_COUNT, MAX_ESCALATIONS, MAX_FROM_MEMORY, MAX_GROUPS, MAX_POSTPONED, MAX_RATE_COUNT,
    MAX_SILENCE, MAX_SILENCES, MAX_SWINGER, MAX_TEST, MAX_WRONG_CODES, Match, MatchCondition, MemoryRelay,
    Mode, NextEdge, Pace, Panic, ParseScheduleError, PendingArm, PlannedDelivery, Policy, PolicyStep,
    Position, Protection, RateLimit, Repeat, Repeats, Require, Route, RoutePolicy, RouteReason, Router,
    RoutingEvent, RoutingState, SIREN_WINDOW, Schedule, SeverityTable, Sightings, Silence, SilenceCommand,
    SilenceId, SilenceMatch, SilenceRefused, Silences, SourceMatch, StepNote, Suppression, Swingers,
    TAKEN_FOR, Target, TargetMatch, TestMode, Unheld, Unsent, Window, Withheld, is_pattern, name_matches,
};
pub use schedule::PassSchedule;
pub use secret::Secret;
pub use sink::{
    CallId, ChildExit, DeliveryResult, DueDelivery, Expired, Fetched, SinkEffect, SinkEvent, SinkMachine,
    SinkNotice, SinkPolicy, SinkState,
};
pub use slot::{SlotStatus, SlotVerdict, SlotWatch, SubscriptionLoss};
pub use time::{ClockSkew, MonotonicTime, Now, UnixMillis};
pub use twin::{TWIN_WINDOW, TwinKey, are_twins};
pub use write_back::WriteBackRetry;
