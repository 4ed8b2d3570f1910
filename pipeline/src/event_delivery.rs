//! The notices that are being delivered: the source of their actions. While a notice is here, its event keeps it under a
//! lease; its end is written into the event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{Answer, EventId, EventWrite, Question, ReservationAnswer, StoredEvent};
use acteon_core::{History, Origin, Returned, Settled, StateError};
use compact_str::CompactString;
use hashbrown::HashSet;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::event_body::{EventBody, UnsentNotice, later};
use crate::event_report::{forget_accepted, write_of};
use crate::event_timeout::{WRITES_MAX, writing};
use crate::events;
use crate::process::Pipeline;
use crate::running::Running;
use crate::scheduler::Scheduler;

/// How many events one call writes.
const SLICE: usize = 256;

/// The running deliveries of notices.
pub(crate) struct Notices {
    running: Running<NoticeStart, NoticeEnd>,
    names: Mutex<HashSet<NoticeName>>,
}

/// A notice, and the delivery that is running.
#[derive(Clone)]
struct NoticeStart {
    name: NoticeName,
    /// The number of the delivery.
    delivery: u32,
    /// Whether its event keeps it until it is delivered. Else it is only recorded.
    is_kept: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct NoticeName {
    event: EventId,
    id: CompactString,
}

/// How a delivery has ended.
#[derive(Clone)]
enum NoticeEnd {
    /// With the last word about the notice.
    Finished,
    /// It goes on after this time.
    Later {
        after: Duration,
        history: Option<Box<History>>,
    },
}

/// A change of a delivery that its event must hear of.
struct Update {
    token: u64,
    start: NoticeStart,
    /// `None`: it is still running.
    end: Option<NoticeEnd>,
}

impl Notices {
    pub(crate) fn new(scheduler: Arc<Scheduler>) -> Self {
        Self {
            running: Running::new(scheduler),
            names: Mutex::default(),
        }
    }

    /// Begins a delivery. Returns the token of its action.
    pub(crate) fn begin(&self, event: EventId, notice: UnsentNotice) -> u64 {
        let name = NoticeName {
            event,
            id: notice.id,
        };
        self.names.lock().insert(name.clone());
        self.running.begin(NoticeStart {
            name,
            delivery: notice.deliveries,
            is_kept: !notice.targets.is_empty(),
        })
    }

    pub(crate) fn is_running(&self, event: &EventId, id: &CompactString) -> bool {
        self.names.lock().contains(&NoticeName {
            event: event.clone(),
            id: id.clone(),
        })
    }

    /// After which time the oldest lease must be renewed; `None` if nothing is running.
    pub(crate) fn renewal_in(&self, lease: Duration) -> Option<Duration> {
        self.running.renewal_in(lease)
    }

    /// What the state has to hear.
    fn updates(&self, lease: Duration) -> Vec<Update> {
        let (tokens, ended) = self
            .running
            .ended(|start, end| (start.clone(), end.clone()));
        let ended = tokens.into_iter().zip(ended);
        let ended = ended.map(|(token, (start, end))| Update {
            token,
            start,
            end: Some(end),
        });
        let (tokens, running) = self.running.to_renew(lease, |start| start.clone());
        let running = tokens.into_iter().zip(running);
        let running = running.map(|(token, start)| Update {
            token,
            start,
            end: None,
        });
        let mut updates: Vec<_> = ended.collect();
        let known: HashSet<_> = updates.iter().map(|update| update.token).collect();
        updates.extend(running.filter(|update| !known.contains(&update.token)));
        updates
    }

    /// The state has heard these.
    fn heard(&self, updates: &[Update], at: Instant) {
        let (ended, running): (Vec<_>, Vec<_>) =
            updates.iter().partition(|update| update.end.is_some());
        let tokens = |updates: &[&Update]| {
            let tokens = updates.iter().map(|update| update.token);
            tokens.collect::<Vec<_>>()
        };
        self.running.renewed(&tokens(&running), at);
        let mut names = self.names.lock();
        for (start, _) in self.running.forget(&tokens(&ended)) {
            names.remove(&start.name);
        }
    }
}

impl Origin for Notices {
    fn settled(&self, token: u64, settled: Settled) {
        self.running.end(token, |_| match settled {
            Settled::Done(_)
            | Settled::Remembered(_)
            | Settled::Partly { .. }
            | Settled::DeadLettered(_) => NoticeEnd::Finished,
            Settled::Retry {
                returned, after, ..
            } => NoticeEnd::Later {
                after,
                history: match returned {
                    Returned::Action(envelope) => envelope.history,
                    Returned::Poison(_) => None,
                },
            },
            Settled::Later {
                envelope, after, ..
            } => NoticeEnd::Later {
                after,
                history: envelope.history,
            },
        });
    }
}

impl Pipeline {
    /// Writes the ends of deliveries into their events, and renews the leases of running ones. What is not written stays
    /// here. False if none has ended.
    pub(crate) async fn report_notices(&self) -> Result<bool, StateError> {
        let began = Instant::now();
        let updates = self.notices.updates(self.parts.options.lease);
        let (kept, unkept): (Vec<_>, Vec<_>) =
            updates.into_iter().partition(|update| update.start.is_kept);
        let has_ended = kept.iter().any(|update| update.end.is_some());
        self.notices.heard(&unkept, began);
        let mut of_events = BTreeMap::<EventId, Vec<Update>>::new();
        for update in kept {
            let event = update.start.name.event.clone();
            of_events.entry(event).or_default().push(update);
        }
        let mut of_events: Vec<_> = of_events.into_values().collect();
        while !of_events.is_empty() {
            let rest = of_events.split_off(of_events.len().min(SLICE));
            self.write_updates(of_events, began).await?;
            of_events = rest;
        }
        Ok(has_ended)
    }

    /// Writes the updates of these events, those of each event in one write.
    async fn write_updates(
        &self,
        mut of_events: Vec<Vec<Update>>,
        began: Instant,
    ) -> Result<(), StateError> {
        for _ in 0..WRITES_MAX {
            let questions: Vec<_> = of_events
                .iter()
                .map(|updates| Question::Event(updates[0].start.name.event.key()))
                .collect();
            let gathered = self.parts.state.gather(&questions).await?;
            let mut writes = Vec::new();
            let mut written = Vec::new();
            for (updates, answer) in of_events.into_iter().zip(gathered.answers) {
                match self.updated(&updates, answer, gathered.now) {
                    Some(write) => {
                        writes.push(writing(&write));
                        written.push(updates);
                    }
                    None => self.notices.heard(&updates, began),
                }
            }
            if writes.is_empty() {
                return Ok(());
            }
            let lease = self.parts.options.lease;
            let answers = self.parts.state.reserve(&writes, lease).await?;
            of_events = Vec::new();
            for (updates, answer) in written.into_iter().zip(answers) {
                if let ReservationAnswer::Granted(_) = answer {
                    self.notices.heard(&updates, began);
                } else {
                    of_events.push(updates);
                }
            }
            if of_events.is_empty() {
                return Ok(());
            }
        }
        Err(StateError::Unavailable(
            "events of notices could not be written".into(),
        ))
    }

    /// The event with these updates; `None` if it keeps none of the notices any more.
    fn updated(&self, updates: &[Update], answer: Answer, now: Timestamp) -> Option<EventWrite> {
        let Answer::Event(Some(stored)) = answer else {
            return None;
        };
        let stored: &StoredEvent = &stored;
        let mut body = EventBody::of(stored);
        let machine = self.parts.machines.get(&body.machine)?;
        let lease_end = later(now, self.parts.options.lease);
        let mut has_changed = false;
        for update in updates {
            let found = body.unsent.iter().position(|notice| {
                notice.id == update.start.name.id && notice.deliveries == update.start.delivery
            });
            let Some(at) = found else {
                events::notice_lost(&update.start.name.id);
                continue;
            };
            has_changed = true;
            let notice = &mut body.unsent[at];
            match &update.end {
                None => notice.next_at = lease_end,
                Some(NoticeEnd::Finished) => {
                    body.unsent.remove(at);
                }
                Some(NoticeEnd::Later { after, history }) => {
                    forget_accepted(&mut notice.targets, history.as_deref());
                    notice.history = history.clone();
                    notice.next_at = later(now, *after);
                }
            }
        }
        let write = || write_of(machine, &body, stored.into(), stored.version, now);
        has_changed.then(write)
    }
}
