//! A double of the groups, for the tests of their endpoints.

use acteon_core::grouping::{FlushError, FlushedGroup, GroupAdmin, GroupView, GroupViews};
use acteon_core::state::{GroupKey, GroupQuery, GroupStatus};
use acteon_core::{Caller, Payload, Scope, StateError};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;

/// Groups that a test sets.
#[derive(Default)]
pub(super) struct FakeGroups {
    pub(super) views: Mutex<Vec<GroupView>>,
    /// The keys that were flushed.
    pub(super) flushed: Mutex<Vec<GroupKey>>,
}

#[async_trait]
impl GroupAdmin for FakeGroups {
    async fn list(&self, query: &GroupQuery) -> Result<GroupViews, StateError> {
        let mut groups = self.views.lock().clone();
        groups.retain(|view| {
            let name = &view.group.name;
            let is_after = query.after.as_ref().is_none_or(|after| name.id < *after);
            is_after && query.matches(&name.key)
        });
        groups.sort_by(|a, b| b.group.name.id.cmp(&a.group.name.id));
        let more = groups.len() > query.limit;
        groups.truncate(query.limit);
        Ok(GroupViews { groups, more })
    }

    async fn find(&self, scope: &Scope, key: &str) -> Result<Vec<GroupView>, StateError> {
        let mut found = self.views.lock().clone();
        found.retain(|view| {
            let name = &view.group.name.key;
            name.key == key && name.is_inside(scope)
        });
        Ok(found)
    }

    async fn events(&self, _: &GroupView) -> Result<Vec<Payload>, StateError> {
        let event = json!({"pod": "web-1", "secret": "hidden"});
        Ok(vec![Payload::from_value(&event).unwrap()])
    }

    async fn flush(&self, key: &GroupKey, _: Caller) -> Result<FlushedGroup, FlushError> {
        let views = self.views.lock();
        let found = views.iter().find(|view| view.group.name.key == *key);
        let group = &found.ok_or(FlushError::Absent)?.group;
        if group.status == GroupStatus::Delivering {
            return Err(FlushError::Delivering);
        }
        self.flushed.lock().push(key.clone());
        Ok(FlushedGroup {
            group_id: group.name.id.clone(),
            event_count: group.size,
            notified: true,
        })
    }
}
