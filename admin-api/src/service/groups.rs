//! Groups: pages of them, one with its events, and the flush by hand.

use acteon_core::Payload;
use acteon_core::grouping::{FlushError, FlushedGroup, GroupView, GroupViews};
use acteon_core::state::GroupQuery;
use serde_json::json;

use super::changes::{Change, CompletedChange, FLUSH_GROUP};
use super::{Access, AdminApi, AdminError};

/// The most groups on one page.
pub const GROUP_LIMIT_MAX: usize = 1000;

/// A group with the redacted payloads of its listed members.
#[derive(Clone, Debug)]
pub struct GroupWithEvents {
    /// The group.
    pub view: GroupView,
    /// The redacted payloads, in the order in which the members joined.
    pub events: Vec<Payload>,
}

impl AdminApi {
    /// The groups that match the query, the newest first.
    ///
    /// # Errors
    /// The state backend cannot be reached.
    pub async fn groups(&self, query: &GroupQuery) -> Result<GroupViews, AdminError> {
        Ok(self.ports.groups.list(query).await?)
    }

    /// The current group under a key, with its events while it is not closed.
    ///
    /// # Errors
    /// There is no such group inside the scope, two rules have one under this key and `rule` names neither, or the state
    /// backend cannot be reached.
    pub async fn group(
        &self,
        access: &Access,
        key: &str,
        rule: Option<&str>,
    ) -> Result<GroupWithEvents, AdminError> {
        let mut view = self.only_group(access, key, rule).await?;
        view.labels = self.ports.redactor.labels(&view.labels);
        let events = self.ports.groups.events(&view).await?;
        let redactor = &self.ports.redactor;
        let events = events.iter().map(|payload| redactor.payload(payload));
        Ok(GroupWithEvents {
            events: events.collect(),
            view,
        })
    }

    /// Flushes the group that waits under a key: its summary is sent, and the group is closed.
    ///
    /// # Errors
    /// There is no such group inside the scope, its summary is being delivered, or the state backend cannot be reached.
    pub async fn flush_group(
        &self,
        access: &Access,
        key: &str,
        rule: Option<&str>,
    ) -> Result<FlushedGroup, AdminError> {
        let group = self.only_group(access, key, rule).await?.group.name.key;
        let change = Change::of_group(FLUSH_GROUP, &group);
        let groups = self.ports.groups.clone();
        let caller = access.caller.clone();
        let key = key.to_owned();
        let work = async move {
            let flushed = match groups.flush(&group, caller).await {
                Ok(flushed) => flushed,
                Err(FlushError::Absent) => return Err(AdminError::GroupNotFound(key)),
                Err(FlushError::Delivering) => return Err(AdminError::GroupNotPending(key)),
                Err(FlushError::State(error)) => return Err(error.into()),
            };
            Ok(CompletedChange {
                outcome: "flushed",
                details: json!({
                    "group_id": flushed.group_id,
                    "event_count": flushed.event_count,
                    "notified": flushed.notified,
                }),
                answer: flushed,
            })
        };
        self.change(access.caller.clone(), change, work).await
    }

    async fn only_group(
        &self,
        access: &Access,
        key: &str,
        rule: Option<&str>,
    ) -> Result<GroupView, AdminError> {
        let mut found = self.ports.groups.find(&access.scope, key).await?;
        found.retain(|view| rule.is_none_or(|rule| view.group.name.key.rule == rule));
        match found.len() {
            0 | 1 => found
                .pop()
                .ok_or_else(|| AdminError::GroupNotFound(key.into())),
            _ => Err(AdminError::GroupAmbiguous(key.into())),
        }
    }
}
