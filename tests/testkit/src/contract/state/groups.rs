//! Clauses about groups: how members join. `flushes.rs` has their end.

use acteon_core::State;
use acteon_core::scope::Scope;
use acteon_core::state::{
    Appended, DueWork, EARLY_SEALS_MAX, GROUP_BYTES_MAX, Grant, GroupAppend, GroupEnd, GroupFinish,
    GroupKey, GroupMember, GroupName, GroupPage, GroupQuery, GroupTerms, GroupTiming, HeldGroup,
    Reservation, ReservationAnswer, StateContext, Step, StepAnswer, StoredGroup, Token,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::StateHarness;
use super::subject::*;

/// How long a group waits after its first member, in units.
pub(super) const WAIT: u32 = 3;
/// How long a key rests after a flush, in units.
pub(super) const INTERVAL: u32 = 12;
/// How many members keep their bodies.
pub(super) const SIZE: u32 = 3;

/// Past the wait of a group, in units.
pub(super) const DUE: f64 = WAIT as f64 + 0.5;

/// The key `name` of the rule `g`, of `ns`/`t1`.
pub(super) fn group(name: &str) -> GroupKey {
    GroupKey {
        namespace: "ns".into(),
        tenant: "t1".into(),
        rule: "g".into(),
        key: name.into(),
    }
}

/// A member of this key; its body is `body of <id>`. If it opens a group, the group is called `of <id>`.
pub(super) fn member<H: StateHarness>(key: &GroupKey, id: &str) -> GroupAppend {
    GroupAppend {
        key: key.clone(),
        new_id: format!("of {id}").into(),
        terms: GroupTerms {
            timing: waits::<H>(WAIT, INTERVAL),
            size_max: SIZE,
            settings: Bytes::from_static(b"settings"),
        },
        member: GroupMember {
            id: id.into(),
            body: format!("body of {id}").into(),
        },
    }
}

/// In units.
fn waits<H: StateHarness>(wait: u32, interval: u32) -> GroupTiming {
    GroupTiming::Waits {
        wait: H::UNIT * wait,
        interval: H::UNIT * interval,
    }
}

pub(super) fn joining(append: GroupAppend) -> Reservation {
    Reservation {
        step: Some(Step::Append(Box::new(append))),
        ..Reservation::default()
    }
}

pub(super) fn joined(answer: ReservationAnswer) -> Appended {
    match answer {
        ReservationAnswer::Granted(Grant {
            step: Some(StepAnswer::Appended(joined)),
            ..
        }) => joined,
        other => panic!("expected a group, but got {other:?}"),
    }
}

pub(super) fn held(group: &StoredGroup, token: Token) -> HeldGroup {
    HeldGroup {
        name: group.name.clone(),
        token,
    }
}

impl<H: StateHarness> Subject<'_, H> {
    pub(super) async fn join(&self, append: GroupAppend) -> Appended {
        joined(self.ask(&joining(append)).await)
    }

    /// Adds members with these ids to a key.
    pub(super) async fn join_all(&self, key: &GroupKey, ids: &[&str]) -> Appended {
        let asked = ids.iter().map(|id| joining(member::<H>(key, id)));
        let asked: Vec<_> = asked.collect();
        joined(self.reserve(&asked).await.pop().expect("a member"))
    }

    pub(super) async fn due(&self, limit: usize, token: Token) -> DueWork {
        let lease = H::UNIT * LEASE;
        let due = self.state.take_due(limit, lease, token).await;
        due.expect("an answer")
    }

    /// Takes what is due, and returns the ids of the groups.
    pub(super) async fn due_ids(&self) -> Vec<String> {
        let due = self.due(100, Token::random()).await;
        let ids = due.groups.iter().map(|group| group.name.id.to_string());
        ids.collect()
    }

    /// Takes the only group that is due.
    pub(super) async fn take_only(&self) -> (StoredGroup, HeldGroup) {
        let token = Token::random();
        let mut due = self.due(100, token).await.groups;
        assert_eq!(due.len(), 1, "expected one group, but got {due:?}");
        let group = due.remove(0);
        let held = held(&group, token);
        (group, held)
    }

    pub(super) async fn finish(&self, held: &HeldGroup, end: GroupEnd) -> bool {
        let finish = GroupFinish {
            held: held.clone(),
            end,
        };
        let ended = self.state.finish_groups(&[finish]).await;
        let ended = ended.expect("an answer");
        assert_eq!(ended.len(), 1, "one answer for each group");
        ended[0]
    }

    pub(super) async fn member_ids(&self, name: &GroupName) -> Vec<String> {
        let page = self.state.members(name, 0, 1000).await.expect("members");
        assert_eq!(page.next, None);
        let ids = page.members.iter().map(|member| member.id.to_string());
        ids.collect()
    }
}

pub(super) fn all_groups(scope: Scope) -> GroupQuery {
    GroupQuery {
        scope,
        namespace: None,
        tenant: None,
        after: None,
        limit: 100,
    }
}

pub(super) async fn listed(state: &dyn State, query: &GroupQuery) -> GroupPage {
    state.groups(query).await.expect("a page")
}

pub(super) fn ids(groups: &[StoredGroup]) -> Vec<&str> {
    groups.iter().map(|group| group.name.id.as_str()).collect()
}

fn after<H: StateHarness>(now: Timestamp, units: u32) -> Timestamp {
    now + SignedDuration::try_from(H::UNIT * units).expect("a time")
}

/// That two times are equal, apart from the round trips between them.
#[track_caller]
fn assert_near<H: StateHarness>(time: Timestamp, expected: Timestamp) {
    let apart = time.duration_since(expected).unsigned_abs();
    assert!(apart < H::UNIT, "{time} is not {expected}");
}

/// With its number of members, and the same id and due time.
pub async fn the_first_member_opens_a_group_and_later_ones_join_it<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let now = subject.now().await;
    let first = subject.join(member::<H>(&key, "a")).await;
    assert_eq!((&*first.group_id, first.size), ("of a", 1));
    assert_near::<H>(first.due_at, after::<H>(now, WAIT));
    subject.pass(1.0).await;
    let second = subject.join(member::<H>(&key, "b")).await;
    assert_eq!((&*second.group_id, second.size), ("of a", 2));
    assert_eq!(second.due_at, first.due_at);
}

/// Namespaces, tenants and rules have separate groups under one key.
pub async fn members_of_other_keys_are_in_other_groups<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let mut keys = [group("k"), group("l"), group("k"), group("k"), group("k")];
    keys[2].rule = "h".into();
    keys[3].tenant = "t2".into();
    keys[4].namespace = "n".into();
    keys[4].tenant = "st1".into();
    for (at, key) in keys.iter().enumerate() {
        let joined = subject.join(member::<H>(key, &format!("m{at}"))).await;
        assert_eq!(joined.size, 1, "{key:?}");
        let again = subject.join(member::<H>(key, "shared")).await;
        assert_eq!((&again.group_id, again.size), (&joined.group_id, 2));
    }
}

/// As if each had joined after the one before. Answers are in the order of the slice.
pub async fn a_slice_of_members_joins_in_order<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let [k, l] = [group("k"), group("l")];
    let slice = [(&k, "a"), (&l, "b"), (&k, "c"), (&k, "a")];
    let slice = slice.iter().map(|(key, id)| joining(member::<H>(key, id)));
    let slice: Vec<_> = slice.collect();
    let answers = subject.reserve(&slice).await.into_iter().map(joined);
    let joined: Vec<_> = answers.map(|one| (one.group_id, one.size)).collect();
    let expected = [("of a", 1), ("of b", 1), ("of a", 2), ("of a", 2)];
    assert_eq!(joined, expected.map(|(id, size)| (id.into(), size)));
}

/// Not before, and however many members come meanwhile.
pub async fn a_group_is_due_after_the_wait_of_its_first_member<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join(member::<H>(&key, "a")).await;
    subject.pass(f64::from(WAIT) - 1.0).await;
    subject.join(member::<H>(&key, "b")).await;
    assert!(subject.due_ids().await.is_empty());
    subject.pass(1.5).await;
    let (due, _) = subject.take_only().await;
    assert_eq!((due.size, due.omitted), (2, 0));
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b"]);
    assert!(due.opened_at < due.last_at);
}

/// Also if that time has passed.
pub async fn a_group_with_a_fixed_time_is_due_then_whatever_its_size<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    let at = |key: &str, id: &str, time| {
        let mut append = member::<H>(&group(key), id);
        append.terms.timing = GroupTiming::At(time);
        append
    };
    let time = after::<H>(now, 4);
    for id in ["a", "b", "c", "d"] {
        let joined = subject.join(at("k", id, time)).await;
        assert_near::<H>(joined.due_at, time);
    }
    assert!(subject.due_ids().await.is_empty());
    let past = now - SignedDuration::from_hours(20);
    subject.join(at("missed", "m", past)).await;
    assert_eq!(subject.due_ids().await, ["of m"]);
    subject.pass(4.5).await;
    let mut due = subject.due(100, Token::random()).await.groups;
    due.retain(|group| group.name.key.key == "k");
    let [due] = &due[..] else {
        panic!("one group is due");
    };
    assert_eq!((&*due.name.id, due.size, due.omitted), ("of a", 4, 1));
}

/// The terms of later members do not count.
pub async fn a_group_keeps_the_terms_it_was_opened_with<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let first = subject.join(member::<H>(&key, "a")).await;
    let mut later = member::<H>(&key, "b");
    later.terms = GroupTerms {
        timing: waits::<H>(0, 1),
        size_max: 1,
        settings: Bytes::from_static(b"other settings"),
    };
    assert_eq!(subject.join(later).await.due_at, first.due_at);
    subject.pass(f64::from(WAIT) + 0.5).await;
    let (due, _) = subject.take_only().await;
    assert_eq!(due.settings, Bytes::from_static(b"settings"));
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b"]);
}

/// And gets the same answer each time, also once it is sealed.
pub async fn a_member_joins_once_while_its_group_is_open<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let first = subject.join(member::<H>(&key, "a")).await;
    assert_eq!(subject.join(member::<H>(&key, "a")).await, first);
    assert_eq!(subject.join_all(&key, &["b", "a", "b"]).await.size, 2);
    subject.pass(f64::from(WAIT) + 0.5).await;
    let (due, _) = subject.take_only().await;
    let sealed = subject.join(member::<H>(&key, "b")).await;
    assert_eq!((&sealed.group_id, sealed.size), (&due.name.id, 2));
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b"]);
}

/// A message that its source reads again after the flush is in one summary.
pub async fn a_member_of_a_closed_group_joins_no_second_one<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let time = after::<H>(subject.now().await, 2);
    let ids = ["a", "b", "c", "d"];
    for id in ids {
        let mut append = member::<H>(&key, id);
        append.terms.timing = GroupTiming::At(time);
        subject.join(append).await;
    }
    subject.pass(2.5).await;
    let (due, held) = subject.take_only().await;
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    for id in ids {
        let joined = subject.join(member::<H>(&key, id)).await;
        assert_eq!((&joined.group_id, joined.size), (&due.name.id, 4));
    }
    subject.pass(f64::from(WAIT) + 0.5).await;
    assert!(subject.due_ids().await.is_empty());
}

/// After which the same id would join again.
pub async fn the_members_of_a_closed_group_are_forgotten_in_time<H: StateHarness>(harness: &H) {
    let context = StateContext {
        closed_groups: H::UNIT * 5,
        ..StateContext::default()
    };
    let state = harness.keeping(context).await;
    let subject = Subject::of(harness).await.through(state);
    let brief = |new_id: &str| {
        let mut append = member::<H>(&group("k"), "a");
        append.new_id = new_id.into();
        append.terms.timing = waits::<H>(1, 1);
        append
    };
    subject.join(brief("first")).await;
    subject.pass(1.5).await;
    let (_, held) = subject.take_only().await;
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    subject.pass(3.0).await;
    assert_eq!(subject.join(brief("second")).await.group_id, "first");
    subject.pass(2.5).await;
    assert_eq!(subject.join(brief("third")).await.group_id, "third");
}

/// Nothing of a reservation that was refused is done, the step included.
pub async fn a_refused_reservation_adds_no_member<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let of_group = group("k");
    let holder = subject.take(&key::<H>("busy")).await;
    let refused = Reservation {
        step: joining(member::<H>(&of_group, "a")).step,
        ..key::<H>("busy")
    };
    assert_busy(&subject.ask(&refused).await, &holder.claims[0].key);
    let first = subject.join(member::<H>(&of_group, "b")).await;
    assert_eq!((&*first.group_id, first.size), ("of b", 1));
    subject.fail(&holder).await;
    let second = joined(subject.ask(&refused).await);
    assert_eq!((&*second.group_id, second.size), ("of b", 2));
}

/// The answer to the member that fills it says so.
pub async fn a_group_that_reaches_its_size_is_due_at_once<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let now = subject.now().await;
    let full = subject.join_all(&key, &["a", "b", "c"]).await;
    assert_eq!(full.size, SIZE);
    assert_near::<H>(full.due_at, now);
    let next = subject.join(member::<H>(&key, "d")).await;
    assert_eq!((&*next.group_id, next.size), ("of d", 1));
    let (due, _) = subject.take_only().await;
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b", "c"]);
}

/// Until that one is closed; then it is sealed, without waiting for another member or for its time.
pub async fn a_group_stays_open_while_another_of_its_key_is_sealed<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    subject.join_all(&key, &["a", "b", "c"]).await;
    let beyond = subject.join_all(&key, &["d", "e", "f", "g"]).await;
    assert_eq!((&*beyond.group_id, beyond.size), ("of d", 4));
    let (first, held) = subject.take_only().await;
    assert_eq!(&*first.name.id, "of a");
    assert!(subject.finish(&held, GroupEnd::Notified).await);
    let (second, _) = subject.take_only().await;
    assert_eq!(subject.member_ids(&second.name).await, ["d", "e", "f"]);
    assert_eq!(second.omitted, 1);
    let next = subject.join(member::<H>(&key, "h")).await;
    assert_eq!(&*next.group_id, "of h");
}

/// The next one is due with its interval.
pub async fn only_ten_groups_of_a_key_are_sealed_early_within_an_interval<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let alone = |number: usize| {
        let mut append = member::<H>(&key, &format!("m{number:02}"));
        append.terms.size_max = 1;
        append
    };
    for number in 0..EARLY_SEALS_MAX {
        subject.join(alone(number)).await;
        let (_, held) = subject.take_only().await;
        assert!(subject.finish(&held, GroupEnd::Notified).await);
    }
    let kept = subject.join(alone(EARLY_SEALS_MAX)).await;
    let more = subject.join(alone(EARLY_SEALS_MAX + 1)).await;
    assert_eq!((&more.group_id, more.size), (&kept.group_id, 2));
    assert!(subject.due_ids().await.is_empty());
    subject.pass(f64::from(INTERVAL) + 0.5).await;
    let (due, _) = subject.take_only().await;
    assert_eq!((due.name.id, due.size, due.omitted), (kept.group_id, 2, 1));
}

/// They are members: their ids are known.
pub async fn members_beyond_the_size_are_counted_without_their_bodies<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let time = after::<H>(subject.now().await, 2);
    let at = |id: &str| {
        let mut append = member::<H>(&group("k"), id);
        append.terms.timing = GroupTiming::At(time);
        append
    };
    for id in ["a", "b", "c", "d", "e"] {
        subject.join(at(id)).await;
    }
    assert_eq!(subject.join(at("e")).await.size, 5);
    subject.pass(2.5).await;
    let (due, _) = subject.take_only().await;
    assert_eq!((due.size, due.omitted), (5, 2));
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b", "c"]);
}

/// A later member that is short enough is listed.
pub async fn members_beyond_the_bytes_are_counted_without_their_bodies<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let of = |id: &str, bytes: usize| {
        let mut append = member::<H>(&group("k"), id);
        append.terms.size_max = 100;
        append.member.body = Bytes::from(vec![7; bytes]);
        append
    };
    let third = GROUP_BYTES_MAX / 3;
    let sizes = [
        ("a", third),
        ("b", third),
        ("c", third + 9),
        ("d", third - 9),
    ];
    for (id, bytes) in sizes {
        subject.join(of(id, bytes)).await;
    }
    subject.pass(f64::from(WAIT) + 0.5).await;
    let (due, _) = subject.take_only().await;
    assert_eq!((due.size, due.omitted), (4, 1));
    assert_eq!(subject.member_ids(&due.name).await, ["a", "b", "d"]);
}
