//! Clauses about the flush of groups: taking what is due, holding it, and its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use acteon_core::scope::Scope;
use acteon_core::state::{GroupEnd, GroupStatus, GroupTiming, StateContext, TakenGroup, Token};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::StateHarness;
use super::groups::*;
use super::subject::*;

/// Past a lease.
const LOST: f64 = LEASE as f64 + 0.5;

fn released<H: StateHarness>(units: u32) -> GroupEnd {
    GroupEnd::Release {
        after: H::UNIT * units,
        note: Bytes::from_static(b"note"),
    }
}

/// And the next one waits its own time.
pub async fn a_due_group_is_sealed_and_its_later_members_open_the_next<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join(member::<H>(&key, "a")).await;
    subject.pass(DUE).await;
    let (due, _) = subject.take_only().await;
    assert_eq!(due.status, GroupStatus::Delivering);
    let next = subject.join(member::<H>(&key, "b")).await;
    assert_eq!((&*next.group_id, next.size), ("of b", 1));
    assert_eq!(subject.member_ids(&due.name).await, ["a"]);
}

/// However short its wait is.
pub async fn the_next_group_is_due_no_sooner_than_the_interval_after_the_last_seal<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join(member::<H>(&key, "a")).await;
    subject.pass(DUE).await;
    let (_, held) = subject.take_only().await;
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    subject.join(member::<H>(&key, "b")).await;
    subject.pass(f64::from(INTERVAL) - 1.0).await;
    assert!(subject.due_ids().await.is_empty());
    subject.pass(1.5).await;
    let (due, held) = subject.take_only().await;
    assert_eq!(&*due.name.id, "of b");
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    subject.pass(f64::from(INTERVAL) + 0.5).await;
    subject.join(member::<H>(&key, "c")).await;
    subject.pass(DUE).await;
    assert_eq!(subject.due_ids().await, ["of c"]);
}

/// A sink that is down for long gets two summaries, not one for each interval.
pub async fn a_group_is_not_due_while_another_of_its_key_is_undelivered<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join(member::<H>(&key, "a")).await;
    subject.pass(DUE).await;
    let (_, held) = subject.take_only().await;
    assert!(subject.finish(&held, released::<H>(16)).await);
    subject.join(member::<H>(&key, "b")).await;
    subject.pass(f64::from(INTERVAL) + 0.5).await;
    assert!(subject.due_ids().await.is_empty());
    let late = subject.join(member::<H>(&key, "c")).await;
    assert_eq!((&*late.group_id, late.size), ("of b", 2));
    subject.pass(4.0).await;
    let (again, held) = subject.take_only().await;
    assert_eq!(&*again.name.id, "of a");
    assert!(subject.finish(&held, GroupEnd::Failed).await);
    assert_eq!(subject.due_ids().await, ["of b"]);
}

/// Also when two instances ask.
pub async fn due_work_is_taken_by_one_holder<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let peer = subject.through(harness.peer().await);
    subject.join(member::<H>(&group("k"), "a")).await;
    subject.join(member::<H>(&group("l"), "b")).await;
    subject.pass(DUE).await;
    let mut first = subject.due(1, Token::random()).await.groups;
    first.extend(peer.due(10, Token::random()).await.groups);
    assert_eq!(ids(&first), ["of a", "of b"]);
    assert!(subject.due_ids().await.is_empty());
    assert!(peer.due_ids().await.is_empty());
}

/// Each task asks until nothing is due.
pub async fn of_64_tasks_that_take_due_groups_each_group_goes_to_one<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let due_at = subject.now().await;
    for number in 0..100 {
        let mut append = member::<H>(&group(&format!("k{number}")), &format!("m{number}"));
        append.terms.timing = GroupTiming::At(due_at);
        subject.join(append).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let state = Arc::clone(&subject.state);
        tasks.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let due = state.take_due(3, H::UNIT * 20, Token::random()).await;
                let groups = due.expect("an answer").groups;
                if groups.is_empty() {
                    return taken;
                }
                taken.extend(groups.into_iter().map(|group| group.name.id));
            }
        });
    }
    let taken: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 100);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 100);
}

/// With all its members and its due time, for another holder.
pub async fn unfinished_work_falls_due_again_when_its_lease_ends<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.join_all(&group("k"), &["a", "b"]).await;
    subject.pass(DUE).await;
    let (first, _) = subject.take_only().await;
    subject.pass(f64::from(LEASE) - 0.5).await;
    assert!(subject.due_ids().await.is_empty());
    subject.pass(1.0).await;
    let (again, _) = subject.take_only().await;
    assert_eq!(again.name, first.name);
    assert_eq!(again.due_at, first.due_at);
    assert_eq!(subject.member_ids(&first.name).await, ["a", "b"]);
}

/// As if the first answer had been lost.
pub async fn work_asked_for_again_with_the_same_token_is_the_same<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for name in ["k", "l", "m"] {
        subject.join(member::<H>(&group(name), name)).await;
    }
    subject.pass(DUE).await;
    let token = Token::random();
    let first = subject.due(2, token).await.groups;
    let again = subject.due(2, token).await.groups;
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(subject.due_ids().await.len(), 1);
    for group in &first {
        assert!(
            subject
                .finish(&held(group, token), GroupEnd::Notified)
                .await
        );
    }
}

/// The rest is due at the next call.
pub async fn due_work_is_taken_in_order_and_in_slices<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for name in ["k", "l", "m"] {
        subject.join(member::<H>(&group(name), name)).await;
        subject.pass(0.5).await;
    }
    subject.pass(DUE).await;
    let first = subject.due(2, Token::random()).await.groups;
    assert_eq!(ids(&first), ["of k", "of l"]);
    assert_eq!(subject.due_ids().await, ["of m"]);
}

/// A held group falls due when its lease ends.
pub async fn the_next_due_time_is_that_of_the_earliest<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let next = async || subject.state.next_due().await.expect("an answer");
    assert_eq!(next().await, None);
    subject.join(member::<H>(&group("k"), "a")).await;
    let wait = next().await.expect("a time");
    assert!(
        wait <= H::UNIT * WAIT && wait > H::UNIT * (WAIT - 1),
        "{wait:?}"
    );
    subject.pass(DUE).await;
    assert_eq!(next().await, Some(std::time::Duration::ZERO));
    let (_, held) = subject.take_only().await;
    let lease = next().await.expect("a time");
    assert!(
        lease <= H::UNIT * LEASE && lease > H::UNIT * (LEASE - 1),
        "{lease:?}"
    );
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    assert_eq!(next().await, None);
}

/// With their bodies as they were.
pub async fn members_are_read_page_by_page_in_the_order_they_joined<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut append = member::<H>(&group("k"), "a");
    append.terms.size_max = 5;
    append.member.body = Bytes::from_static(b"\0\xff'\"\\");
    subject.join(append).await;
    subject.join_all(&group("k"), &["c", "b"]).await;
    subject.pass(DUE).await;
    let (due, _) = subject.take_only().await;
    let first = subject
        .state
        .members(&due.name, 0, 2)
        .await
        .expect("a page");
    let bodies: Vec<_> = first
        .members
        .iter()
        .map(|member| &member.body[..])
        .collect();
    assert_eq!(bodies, [&b"\0\xff'\"\\"[..], b"body of c"]);
    let rest = first.next.expect("more members");
    let second = subject
        .state
        .members(&due.name, rest, 2)
        .await
        .expect("a page");
    assert_eq!(second.members.len(), 1);
    assert_eq!(second.members[0].id, "b");
    assert_eq!(second.next, None);
}

/// A key without a group has none to take.
pub async fn a_group_taken_by_hand_is_sealed_before_it_is_due<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let by_hand = async |token| {
        let taken = subject.state.take_group(&key, H::UNIT * LEASE, token).await;
        taken.expect("an answer")
    };
    assert_eq!(by_hand(Token::random()).await, TakenGroup::Absent);
    subject.join_all(&key, &["a", "b"]).await;
    let token = Token::random();
    let TakenGroup::Taken(taken) = by_hand(token).await else {
        panic!("a group waits");
    };
    assert_eq!((&*taken.name.id, taken.size), ("of a", 2));
    let next = subject.join(member::<H>(&key, "c")).await;
    assert_eq!(&*next.group_id, "of c");
    assert!(
        subject
            .finish(&held(&taken, token), GroupEnd::Notified)
            .await
    );
    subject.pass(f64::from(INTERVAL) - 1.0).await;
    assert!(
        subject.due_ids().await.is_empty(),
        "a flush by hand counts for the interval"
    );
}

/// One that waits to be tried again can.
pub async fn a_group_that_another_holds_cannot_be_taken_by_hand<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join(member::<H>(&key, "a")).await;
    subject.pass(DUE).await;
    let (_, held) = subject.take_only().await;
    let by_hand = async || {
        let taken = subject
            .state
            .take_group(&key, H::UNIT * LEASE, Token::random());
        taken.await.expect("an answer")
    };
    assert_eq!(by_hand().await, TakenGroup::Held);
    assert!(subject.finish(&held, released::<H>(20)).await);
    assert!(matches!(by_hand().await, TakenGroup::Taken(_)));
}

/// It says so, and takes nothing back.
pub async fn a_held_group_is_kept_by_renewal_and_lost_without<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.join(member::<H>(&group("k"), "a")).await;
    subject.pass(DUE).await;
    let (_, first) = subject.take_only().await;
    let renew = async |held: &_| {
        let held = std::slice::from_ref(held);
        subject
            .state
            .renew_groups(held, H::UNIT * LEASE)
            .await
            .expect("an answer")
    };
    for _ in 0..2 {
        subject.pass(f64::from(LEASE) - 1.0).await;
        assert_eq!(renew(&first).await, [true]);
    }
    assert!(subject.due_ids().await.is_empty());
    subject.pass(LOST).await;
    let (_, second) = subject.take_only().await;
    assert_eq!(renew(&first).await, [false]);
    assert_eq!(renew(&second).await, [true]);
}

/// Also after a crash of the one who wrote it.
pub async fn a_note_is_found_by_the_next_holder<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.join(member::<H>(&group("k"), "a")).await;
    subject.pass(DUE).await;
    let (group, first) = subject.take_only().await;
    assert!(group.note.is_empty());
    let note = async |held: &_, text: &'static [u8]| {
        let note = [(Clone::clone(held), Bytes::from_static(text))];
        subject.state.note_groups(&note).await.expect("an answer")
    };
    assert_eq!(note(&first, b"without b").await, [true]);
    subject.pass(LOST).await;
    let (group, second) = subject.take_only().await;
    assert_eq!(group.note, Bytes::from_static(b"without b"));
    assert_eq!(note(&first, b"late").await, [false]);
    assert!(subject.finish(&second, released::<H>(1)).await);
    subject.pass(1.5).await;
    let (group, _) = subject.take_only().await;
    assert_eq!(group.note, Bytes::from_static(b"note"));
}

/// As delivered, or as failed.
pub async fn a_closed_group_is_never_due_again_and_listed_for_its_time<H: StateHarness>(
    harness: &H,
) {
    let context = StateContext {
        closed_groups: H::UNIT * 14,
        ..StateContext::default()
    };
    let state = harness.keeping(context).await;
    let subject = Subject::of(harness).await.through(state);
    for (name, end) in [("k", GroupEnd::Notified), ("l", GroupEnd::Failed)] {
        subject.join(member::<H>(&group(name), name)).await;
        subject.pass(DUE).await;
        let (_, held) = subject.take_only().await;
        assert!(subject.finish(&held, end).await);
    }
    let query = all_groups(Scope::everything());
    let page = listed(&*subject.state, &query).await;
    let status: Vec<_> = page.groups.iter().map(|group| group.status).collect();
    assert_eq!(status, [GroupStatus::Failed, GroupStatus::Notified]);
    subject.pass(LOST).await;
    assert!(subject.due_ids().await.is_empty());
    subject.pass(10.0).await;
    assert!(listed(&*subject.state, &query).await.groups.is_empty());
}

/// As if the first answer had been lost.
pub async fn finishing_again_changes_nothing<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.join(member::<H>(&group("k"), "a")).await;
    subject.pass(DUE).await;
    let (_, first) = subject.take_only().await;
    assert!(subject.finish(&first, released::<H>(2)).await);
    subject.pass(1.0).await;
    assert!(subject.finish(&first, released::<H>(2)).await);
    subject.pass(1.5).await;
    let (group, second) = subject.take_only().await;
    assert!(subject.finish(&second, GroupEnd::Notified).await);
    assert!(subject.finish(&second, GroupEnd::Notified).await);
    assert!(!subject.finish(&first, GroupEnd::Failed).await);
    let page = listed(&*subject.state, &all_groups(Scope::everything())).await;
    assert_eq!(ids(&page.groups), [&*group.name.id]);
    assert_eq!(page.groups[0].status, GroupStatus::Notified);
}

/// Not before.
pub async fn a_released_group_is_due_again_after_its_time_with_all_members<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    subject.join_all(&group("k"), &["a", "b"]).await;
    subject.pass(DUE).await;
    let (first, held) = subject.take_only().await;
    assert!(subject.finish(&held, released::<H>(3)).await);
    subject.pass(2.0).await;
    assert!(subject.due_ids().await.is_empty());
    subject.pass(1.5).await;
    let (again, _) = subject.take_only().await;
    assert_eq!(again.name, first.name);
    assert_eq!(subject.member_ids(&again.name).await, ["a", "b"]);
}

/// It says so. Without a next holder, a late finish still counts.
pub async fn a_late_finish_changes_nothing_of_the_next_holder<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.join(member::<H>(&group("k"), "a")).await;
    subject.join(member::<H>(&group("l"), "b")).await;
    subject.pass(DUE).await;
    let token = Token::random();
    let both = subject.due(2, token).await.groups;
    let [first, second] = &both[..] else {
        panic!("two groups are due");
    };
    subject.pass(LOST).await;
    assert!(
        subject
            .finish(&held(second, token), GroupEnd::Notified)
            .await
    );
    let (_, next) = subject.take_only().await;
    assert!(
        !subject
            .finish(&held(first, token), GroupEnd::Notified)
            .await
    );
    assert!(!subject.finish(&held(first, token), released::<H>(0)).await);
    assert!(subject.due_ids().await.is_empty());
    assert!(subject.finish(&next, GroupEnd::Notified).await);
}

/// In every state they can be in.
pub async fn groups_survive_where_they_are_durable<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    if !subject.state.capabilities().durable {
        return;
    }
    subject.join_all(&group("sealed"), &["a", "b"]).await;
    subject.pass(DUE).await;
    let (_, held) = subject.take_only().await;
    subject.join(member::<H>(&group("open"), "c")).await;
    let reopened = subject.through(harness.reopened().await);
    assert_eq!(
        reopened.join(member::<H>(&group("sealed"), "a")).await.size,
        2
    );
    let open = reopened.join(member::<H>(&group("open"), "d")).await;
    assert_eq!((&*open.group_id, open.size), ("of c", 2));
    assert!(reopened.finish(&held, released::<H>(0)).await);
    let (again, held) = reopened.take_only().await;
    assert_eq!(reopened.member_ids(&again.name).await, ["a", "b"]);
    assert!(reopened.finish(&held, GroupEnd::Notified).await);
    reopened.pass(DUE).await;
    assert_eq!(reopened.due_ids().await, ["of c"]);
}
