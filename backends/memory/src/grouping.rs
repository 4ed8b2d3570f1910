//! Implements the part of the port for groups.

use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    GroupFinish, GroupKey, GroupName, GroupPage, GroupQuery, Groups, HeldGroup, MemberPage,
    StateError, StoredGroup, TakenGroup, Token,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::groups::{Taker, until};
use crate::state::MemoryState;

#[async_trait]
impl Groups for MemoryState {
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError> {
        Ok(self.groups.lock().members(group, from, limit))
    }

    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError> {
        let taker = Taker::new(token, lease, self.shards.now());
        Ok(self.groups.lock().take_by_hand(key, taker))
    }

    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let until = until(self.shards.now(), lease);
        let mut groups = self.groups.lock();
        Ok(held.iter().map(|held| groups.renew(held, until)).collect())
    }

    async fn note_groups(&self, notes: &[(HeldGroup, Bytes)]) -> Result<Vec<bool>, StateError> {
        let mut groups = self.groups.lock();
        let noted = notes.iter().map(|(held, note)| groups.note(held, note));
        Ok(noted.collect())
    }

    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError> {
        let now = self.shards.now();
        let mut groups = self.groups.lock();
        let ended = finished.iter().map(|finish| groups.finish(finish, now));
        Ok(ended.collect())
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError> {
        let now = self.shards.now();
        Ok(self.groups.lock().list(query, now))
    }

    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError> {
        let now = self.shards.now();
        Ok(self.groups.lock().of_key(scope, key, now))
    }
}
