//! An event as its machine sees it. The pipeline stores it, with the names under which it is found.

use std::collections::VecDeque;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of transitions that a record keeps.
pub const HISTORY_MAX: usize = 50;

/// The state of an event, and how it got there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// The present state.
    pub state: CompactString,
    /// When it entered that state.
    pub entered_at: Timestamp,
    /// The arrival of the last report that counted.
    pub last_report_at: Timestamp,
    /// When the event began, if a report said so.
    pub starts_at: Option<Timestamp>,
    /// The number of reminders since it entered the state.
    pub reminders: u32,
    /// The time of the last of these reminders.
    pub reminded_at: Option<Timestamp>,
    /// Whether a notice of it was sent since it began. Only then is its end announced.
    pub was_notified: bool,
    /// The silence that withheld the notice of the present state. When it ends, the state is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld_by: Option<CompactString>,
    /// Whether the notice of the present state failed, and the next report of the state gives it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_untold: bool,
    /// The last transitions, oldest first.
    pub history: VecDeque<TransitionRecord>,
}

/// One transition in an event's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRecord {
    /// When it happened.
    pub at: Timestamp,
    /// The state it left.
    pub from: CompactString,
    /// The state it entered.
    pub to: CompactString,
    /// The cause.
    pub by: TransitionCause,
    /// Whether it had a notice.
    pub notified: bool,
    /// The silence that withheld its notice, at least at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<CompactString>,
    /// An operator's remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<CompactString>,
}

/// The cause of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionCause {
    /// The report with this id asked for it.
    Report(CompactString),
    /// The time of a timeout was over.
    Timeout,
    /// No report came for too long.
    Staleness,
    /// An operator of this name.
    Operator(CompactString),
}

impl Lifecycle {
    pub(crate) fn enter(&mut self, transition: TransitionRecord) {
        self.state = transition.to.clone();
        self.entered_at = transition.at;
        self.reminders = 0;
        self.reminded_at = None;
        self.withheld_by = None;
        self.is_untold = false;
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(transition);
    }
}
