//! Timeouts: which one is due when, and what it does. Only times of the record are kept, so a machine's present
//! settings apply to all its events.

use jiff::{SignedDuration, Timestamp};

use crate::lifecycle::{Lifecycle, TransitionCause};
use crate::machine::{Machine, STALE, TimeoutRow};
use crate::options::{OnTransition, Since};
use crate::transition::{EventChange, MachineStep, Notice};

/// A timeout with its due time.
struct Timer<'a> {
    at: Timestamp,
    kind: TimerKind<'a>,
}

enum TimerKind<'a> {
    Timeout(&'a TimeoutRow),
    Staleness,
}

impl Machine {
    /// When the next timeout of an event is due. `None`: never.
    pub fn due(&self, event: &Lifecycle) -> Option<Timestamp> {
        self.next_timer(event).map(|timer| timer.at)
    }

    /// Makes the transition of the earliest timeout that is due. `None`: none is due yet.
    ///
    /// The time in the state that it enters begins now, so after a downtime each timeout follows the one before after
    /// its full time.
    pub fn time_out(
        &self,
        event: Lifecycle,
        now: Timestamp,
        silence: Option<&str>,
    ) -> Option<MachineStep> {
        let timer = self.next_timer(&event).filter(|timer| timer.at <= now)?;
        let (to, cause) = match timer.kind {
            TimerKind::Timeout(timeout) => (timeout.to.as_str(), TransitionCause::Timeout),
            TimerKind::Staleness => (STALE, TransitionCause::Staleness),
        };
        let declared = self.row(&event.state)?.transition(to);
        let on_transition = declared.map(|declared| declared.on_transition.clone());
        if to == event.state {
            let mut reminder = remind(event, on_transition, now);
            return Some(match silence {
                None => {
                    reminder.event.was_notified = true;
                    reminder
                }
                Some(_) => MachineStep {
                    change: EventChange::Reminded(None),
                    ..reminder
                },
            });
        }
        let record = event.transition(to, now, cause);
        let to = on_transition.unwrap_or_default();
        Some(self.enter(event, record, to, silence))
    }

    fn next_timer(&self, event: &Lifecycle) -> Option<Timer<'_>> {
        let row = self.row(&event.state)?;
        let declared = row.timeouts.iter().filter_map(|timeout| {
            Some(Timer {
                at: due(timeout, event)?,
                kind: TimerKind::Timeout(timeout),
            })
        });
        let stale_after = self.stale_after.filter(|_| !row.is_terminal);
        let staleness = stale_after.map(|after| Timer {
            at: later(event.last_report_at, after),
            kind: TimerKind::Staleness,
        });
        declared.chain(staleness).min_by_key(|timer| timer.at)
    }
}

/// A notice without a transition. Without a declared transition of the state to itself, the action goes to its provider.
fn remind(
    mut event: Lifecycle,
    on_transition: Option<OnTransition>,
    now: Timestamp,
) -> MachineStep {
    event.reminders += 1;
    event.reminded_at = Some(now);
    let to = on_transition.unwrap_or(OnTransition {
        notify: true,
        ..OnTransition::default()
    });
    let notice = Notice {
        to,
        is_unconditional: false,
    };
    MachineStep {
        event,
        change: EventChange::Reminded(Some(notice)),
    }
}

fn due(timeout: &TimeoutRow, event: &Lifecycle) -> Option<Timestamp> {
    let since = match timeout.since {
        Since::Entered => event.entered_at,
        Since::LastReport => event.last_report_at.max(event.entered_at),
    };
    if timeout.to != event.state {
        return Some(later(since, timeout.after));
    }
    if event.reminders >= timeout.max_repeats {
        return None;
    }
    let since = event.reminded_at.map_or(since, |at| at.max(since));
    Some(later(since, timeout.after))
}

/// The end of all time if the sum is beyond it.
fn later(time: Timestamp, after: SignedDuration) -> Timestamp {
    time.saturating_add(after).unwrap_or(Timestamp::MAX)
}
