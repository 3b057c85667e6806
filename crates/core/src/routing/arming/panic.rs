//! What a panic makes of areas: an alarm, whatever they were at, and afterwards what they were.

use super::area::MAX_CAUSES;
use super::{Area, AreaNews, AreaPolicy, AreaState, Cause};
use crate::routing::Panic;
use crate::{Alert, UnixMillis};

impl Area {
    /// A person needs help: alarm, whatever it is at. Who was leaving leaves an area that is armed afterwards. An alarm that it has
    /// lasts its whole time from now on, and sounds if one of the two does.
    pub(super) fn panic(
        &mut self,
        now: UnixMillis,
        policy: &AreaPolicy,
        (alert, panic): (&Alert, &Panic),
    ) -> Option<AreaNews> {
        let cause = Cause {
            alert: alert.id,
            at: alert.happened_at(),
            camera: panic.label().to_owned(),
        };
        if let AreaState::Triggered {
            until,
            causes,
            silent,
            ..
        } = &mut self.state
        {
            *until = (now + policy.trigger_time).max(*until);
            *silent &= panic.silent;
            if causes.len() < MAX_CAUSES {
                causes.push(cause.clone());
            }
            self.remember(cause);
            return None;
        }
        let mut causes = Vec::new();
        let mode = match &self.state {
            AreaState::Arming { mode, .. } => Some(*mode),
            _ => self.protects(),
        };
        match &self.state {
            AreaState::Pending { cause, .. } => causes.push(cause.clone()),
            _ => self.recipients.clear(),
        }
        causes.push(cause);
        let news = self.trigger(now, now, policy, mode, causes);
        if let AreaState::Triggered { silent, .. } = &mut self.state {
            *silent = panic.silent;
        }
        Some(news)
    }
}
