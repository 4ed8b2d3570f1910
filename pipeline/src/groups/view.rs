//! Groups as operators see them.

use acteon_core::grouping::{FlushError, FlushedGroup, GroupAdmin, GroupView, GroupViews};
use acteon_core::state::{GroupKey, GroupQuery, StoredGroup, TakenGroup, Token};
use acteon_core::{Caller, Payload, Scope, StateError};
use acteon_groups::GroupSettings;
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::flush::{ROOM_TIMEOUT, Taken, held};
use crate::events;
use crate::process::Pipeline;

#[async_trait]
impl GroupAdmin for Pipeline {
    async fn list(&self, query: &GroupQuery) -> Result<GroupViews, StateError> {
        let page = self.parts.state.groups(query).await?;
        Ok(GroupViews {
            groups: page.groups.into_iter().map(view).collect(),
            more: page.more,
        })
    }

    async fn find(&self, scope: &Scope, key: &str) -> Result<Vec<GroupView>, StateError> {
        let found = self.parts.state.groups_of(scope, key).await?;
        Ok(found.into_iter().map(view).collect())
    }

    async fn events(&self, view: &GroupView) -> Result<Vec<Payload>, StateError> {
        let (members, _) = self.members_of(&view.group.name).await?;
        let payloads = members.into_iter().map(|(_, member)| member.action.payload);
        Ok(payloads.collect())
    }

    async fn flush(&self, key: &GroupKey, caller: Caller) -> Result<FlushedGroup, FlushError> {
        let token = Token::random();
        let lease = self.parts.options.lease;
        let group = match self.parts.state.take_group(key, lease, token).await? {
            TakenGroup::Taken(group) => *group,
            TakenGroup::Held => return Err(FlushError::Delivering),
            TakenGroup::Absent => return Err(FlushError::Absent),
        };
        let (waiting, ended) = oneshot::channel();
        let group_id = group.name.id.clone();
        let event_count = group.size;
        let taken = Taken {
            held: held(&group.name, token),
            group,
            caller,
            waiting: Some(waiting),
            now: self.parts.clock.now(),
            room_until: Instant::now() + ROOM_TIMEOUT,
        };
        let job = self.begin_flush(taken).await?;
        self.deliver_summaries(job.into_iter().collect()).await;
        Ok(FlushedGroup {
            group_id,
            event_count,
            notified: ended.await.unwrap_or(false),
        })
    }
}

/// What cannot be read of the settings is left out.
fn view(group: StoredGroup) -> GroupView {
    let settings = GroupSettings::decode(&group.settings);
    let settings = settings.unwrap_or_else(|error| {
        events::group_unreadable(&error);
        GroupSettings::default()
    });
    GroupView {
        group,
        provider: settings.provider,
        labels: settings.labels,
    }
}
