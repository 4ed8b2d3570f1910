//! Flushes groups: asks silences and `unless` for their members, and delivers one summary for each.

use std::time::Duration;

use acteon_core::ids::id_from;
use acteon_core::silence::silence_rule;
use acteon_core::state::{GroupEnd, GroupName, HeldGroup, StoredGroup, Token};
use acteon_core::{AuditRecord, Caller, StateError};
use acteon_groups::{FlushNote, GroupSettings, Member};
use acteon_rules::StateAnswers;
use compact_str::CompactString;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::running::{FlushStart, released};
use super::summary::{SummaryLoan, SummaryParts};
use crate::events;
use crate::job::Job;
use crate::process::Pipeline;
use crate::record;

/// How many members one call reads.
const PAGE: usize = 500;
/// How long the flushes of a slice wait for room in the process before their groups are released.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_secs(1);

/// A group that was taken.
pub(super) struct Taken {
    pub(super) group: StoredGroup,
    pub(super) held: HeldGroup,
    /// Whom the record of the summary names.
    pub(super) caller: Caller,
    /// The operator who waits for the end.
    pub(super) waiting: Option<oneshot::Sender<bool>>,
    pub(super) now: Timestamp,
    /// How long the flush may wait for room in the process.
    pub(super) room_until: Instant,
}

/// What is asked about the members of a group.
struct MembersToAsk<'a> {
    name: &'a GroupName,
    held: &'a HeldGroup,
    /// The provider of the summary.
    provider: &'a str,
}

impl<'a> MembersToAsk<'a> {
    fn of(group: &'a StoredGroup, held: &'a HeldGroup, settings: &'a GroupSettings) -> Self {
        Self {
            name: &group.name,
            held,
            provider: &settings.provider,
        }
    }
}

impl Pipeline {
    /// Begins the flushes of groups that were taken with this token.
    pub(crate) async fn flush_taken(
        &self,
        groups: Vec<StoredGroup>,
        token: Token,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let room_until = Instant::now() + ROOM_TIMEOUT;
        let mut jobs = Vec::with_capacity(groups.len());
        for group in groups {
            events::flush_began(now.duration_since(group.due_at));
            let taken = Taken {
                held: held(&group.name, token),
                group,
                caller: Caller::source("groups".into()),
                waiting: None,
                now,
                room_until,
            };
            jobs.extend(self.begin_flush(taken).await?);
        }
        self.deliver_summaries(jobs).await;
        Ok(())
    }

    pub(super) async fn deliver_summaries(&self, jobs: Vec<Box<Job>>) {
        let ended = self.deliver(jobs, Vec::new(), None).await;
        self.settle(ended).await;
    }

    /// Begins the flush of a group. `None` if it ended without a summary.
    pub(super) async fn begin_flush(&self, taken: Taken) -> Result<Option<Box<Job>>, StateError> {
        let Taken {
            group,
            held,
            caller,
            waiting,
            now,
            room_until,
        } = taken;
        let read = FlushNote::decode(&group.note)
            .and_then(|note| Ok((note, GroupSettings::decode(&group.settings)?)));
        let (note, settings) = match read {
            Ok(read) => read,
            Err(error) => {
                // It falls due again when its lease ends, perhaps for a version that can read it.
                events::group_unreadable(&error);
                return Ok(None);
            }
        };
        let (mut members, unreadable) = self.members_of(&group.name).await?;
        let left_out = match &note.left_out {
            Some(left_out) => left_out.clone(),
            None => {
                let asked = MembersToAsk::of(&group, &held, &settings);
                self.leave_out(&asked, &members).await?
            }
        };
        members.retain(|(id, _)| !left_out.contains(id));
        let note = FlushNote {
            left_out: Some(left_out),
            ..note
        };
        let omitted = u64::from(group.omitted) + unreadable;
        let start = FlushStart {
            held,
            note,
            waiting,
        };
        if members.is_empty() && omitted == 0 {
            self.flushes.end(start, GroupEnd::Notified);
            return Ok(None);
        }
        let bytes: usize = members
            .iter()
            .map(|(_, member)| member.action.payload.len())
            .sum();
        let admission = &self.parts.admission;
        let left = room_until.saturating_duration_since(Instant::now());
        let room = admission.admit_within(1, bytes as u64, left);
        let Some(permit) = room.await else {
            let end = released(ROOM_TIMEOUT, &start.note);
            self.flushes.end(start, end);
            return Ok(None);
        };
        let parts = SummaryParts {
            group,
            settings,
            members: members.into_iter().map(|(_, member)| member).collect(),
            omitted,
            now,
        };
        let loan = SummaryLoan {
            start,
            permit,
            caller,
        };
        Ok(Some(self.summary_job(&parts, loan).await))
    }

    /// The listed members with their ids, and how many of them cannot be read.
    pub(super) async fn members_of(
        &self,
        name: &GroupName,
    ) -> Result<(Vec<(CompactString, Member)>, u64), StateError> {
        let mut members = Vec::new();
        let mut unreadable = 0;
        let mut from = Some(0);
        while let Some(start) = from {
            let page = self.parts.state.members(name, start, PAGE).await?;
            for stored in page.members {
                match Member::decode(&stored.body) {
                    Ok(member) => members.push((stored.id, member)),
                    Err(error) => {
                        events::group_unreadable(&error);
                        unreadable += 1;
                    }
                }
            }
            from = page.next;
        }
        Ok((members, unreadable))
    }

    /// Asks silences and the rule's `unless` for each member. Those left out are recorded, and noted in the group, so
    /// that a later attempt leaves out the same members. Returns their ids.
    async fn leave_out(
        &self,
        asked: &MembersToAsk<'_>,
        members: &[(CompactString, Member)],
    ) -> Result<Vec<CompactString>, StateError> {
        let now = self.parts.clock.now();
        let name = asked.name;
        let silences = self.parts.rules.silences().current().await?;
        let withheld = self.withheld(name, members, now).await?;
        let mut left_out = Vec::new();
        let mut records = Vec::new();
        for ((id, member), withheld) in members.iter().zip(withheld) {
            let silence = silences.find_for(&member.action, asked.provider);
            let rule = match silence {
                Some(silence) => silence_rule(&silence),
                None if withheld => name.key.rule.clone(),
                None => continue,
            };
            left_out.push(id.clone());
            records.push(self.record_left_out(name, member, rule, now));
        }
        if left_out.is_empty() {
            return Ok(left_out);
        }
        self.record_members(records).await;
        let note = FlushNote {
            left_out: Some(left_out.clone()),
            history: None,
        };
        let note = (asked.held.clone(), note.encode().into());
        self.parts.state.note_groups(&[note]).await?;
        Ok(left_out)
    }

    /// For each member, whether the rule's `unless` holds.
    async fn withheld(
        &self,
        name: &GroupName,
        members: &[(CompactString, Member)],
        now: Timestamp,
    ) -> Result<Vec<bool>, StateError> {
        let generation = self.parts.rules.generation();
        let Some(unless) = generation.set.unless(&name.key.rule) else {
            return Ok(vec![false; members.len()]);
        };
        let reads = members
            .iter()
            .map(|(_, member)| unless.ask(&member.action, now));
        let reads: Vec<_> = reads.collect();
        let questions = reads.iter().flatten().map(|read| read.question.clone());
        let questions: Vec<_> = questions.collect();
        let answers = match questions.is_empty() {
            true => Vec::new(),
            false => self.parts.state.gather(&questions).await?.answers,
        };
        let mut answers = answers.into_iter();
        let holds = members.iter().zip(reads).map(|((_, member), reads)| {
            let count = reads.len();
            let known = StateAnswers::new(reads, answers.by_ref().take(count));
            unless.holds(&member.action, now, &known)
        });
        Ok(holds.collect())
    }

    async fn record_members(&self, records: Vec<AuditRecord>) {
        if let Some(trail) = &self.parts.trail
            && let Err(error) = trail.record(records).await
        {
            events::members_unrecorded(&error);
        }
    }

    fn record_left_out(
        &self,
        name: &GroupName,
        member: &Member,
        rule: CompactString,
        now: Timestamp,
    ) -> AuditRecord {
        let stored = self.parts.options.store_payload;
        let payload = stored.then(|| self.parts.redactor.payload(&member.action.payload));
        let stamp = self.parts.rules.generation().stamp;
        let id = record_id(name, member);
        record::of_member(member, rule, payload, now, id, stamp)
    }
}

pub(super) fn held(name: &GroupName, token: Token) -> HeldGroup {
    HeldGroup {
        name: name.clone(),
        token,
    }
}

/// The same for each attempt to flush the group, so that the trail has one record.
fn record_id(name: &GroupName, member: &Member) -> uuid::Uuid {
    let mut hash = Sha256::new();
    for part in [&name.id, &member.action.id, &member.source] {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut chance = [0; 10];
    chance.copy_from_slice(&hash.finalize()[..10]);
    let id = id_from(member.received_at, chance);
    id.parse().unwrap_or_default()
}
