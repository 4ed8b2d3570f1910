//! Implements the part of the port for groups.

use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    GroupFinish, GroupKey, GroupName, GroupPage, GroupQuery, Groups, HeldGroup, MemberPage,
    StateError, StoredGroup, TakenGroup, Token,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;

use super::call::StateCall;
use super::due::DueTaker;
use super::keys::{HashedHeld, hashed_group};
use super::{Shared, SqliteState, group_views};
use crate::time::length_of;

#[async_trait]
impl Groups for SqliteState {
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError> {
        let key = hashed_group(&group.key);
        let id = group.id.clone();
        let read = move |connection: &Connection, _: &Shared, _: i64| {
            group_views::members(connection, (&key, &id), from, limit)
        };
        Ok(self.read(read).await?)
    }

    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError> {
        let key = hashed_group(key);
        let taker = DueTaker::new(token, lease);
        let take = move |call: &mut StateCall<'_>| call.take_by_hand(&key, taker);
        Ok(self.call(take).await?)
    }

    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let held: Vec<_> = held.iter().map(HashedHeld::of).collect();
        let lease = length_of(lease);
        let renew = move |call: &mut StateCall<'_>| {
            let kept = held.iter().map(|held| call.renew_group(held, lease));
            kept.collect::<Result<Vec<_>, _>>()
        };
        Ok(self.call(renew).await?)
    }

    async fn note_groups(&self, notes: &[(HeldGroup, Bytes)]) -> Result<Vec<bool>, StateError> {
        let notes = notes.iter();
        let notes = notes.map(|(held, note)| (HashedHeld::of(held), note.clone()));
        let notes: Vec<_> = notes.collect();
        let write = move |call: &mut StateCall<'_>| {
            let noted = notes.iter().map(|(held, note)| call.note(held, note));
            noted.collect::<Result<Vec<_>, _>>()
        };
        Ok(self.call(write).await?)
    }

    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError> {
        let finished = finished.iter();
        let finished = finished.map(|finish| (HashedHeld::of(&finish.held), finish.end.clone()));
        let finished: Vec<_> = finished.collect();
        let finish = move |call: &mut StateCall<'_>| {
            let ended = finished
                .iter()
                .map(|(held, end)| call.finish_group(held, end));
            ended.collect::<Result<Vec<_>, _>>()
        };
        Ok(self.call(finish).await?)
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError> {
        let query = query.clone();
        let list = move |connection: &Connection, _: &Shared, now: i64| {
            group_views::list(connection, &query, now)
        };
        Ok(self.read(list).await?)
    }

    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError> {
        let scope = scope.clone();
        let key = key.to_owned();
        let find = move |connection: &Connection, _: &Shared, now: i64| {
            group_views::of_key(connection, &scope, &key, now)
        };
        Ok(self.read(find).await?)
    }
}
