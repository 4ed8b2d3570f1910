//! Clauses about what callers see of groups.

use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::state::{GroupEnd, GroupKey, GroupQuery, GroupStatus, Token};

use super::StateHarness;
use super::groups::*;
use super::subject::*;

/// By namespace and tenant if asked, in whatever state they are.
pub async fn groups_are_listed_page_by_page<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for name in ["a", "b", "c", "d"] {
        let mut append = member::<H>(&group(name), name);
        append.new_id = format!("{name}-id").into();
        if name == "c" {
            append.key.tenant = "t2".into();
        }
        subject.join(append).await;
    }
    let everything = all_groups(Scope::everything());
    let first = GroupQuery {
        limit: 3,
        ..everything.clone()
    };
    let page = listed(&*subject.state, &first).await;
    assert_eq!(
        (ids(&page.groups), page.more),
        (vec!["d-id", "c-id", "b-id"], true)
    );
    assert_eq!(page.groups[0].status, GroupStatus::Pending);
    let after = page.groups.last().map(|group| group.name.id.clone());
    let page = listed(&*subject.state, &GroupQuery { after, ..first }).await;
    assert_eq!((ids(&page.groups), page.more), (vec!["a-id"], false));
    let of_tenant = GroupQuery {
        tenant: Some("t2".into()),
        ..everything.clone()
    };
    assert_eq!(
        ids(&listed(&*subject.state, &of_tenant).await.groups),
        ["c-id"]
    );
    let elsewhere = GroupQuery {
        namespace: Some("other".into()),
        ..everything
    };
    assert!(listed(&*subject.state, &elsewhere).await.groups.is_empty());
}

/// In no list, and under no key.
pub async fn nobody_sees_a_group_outside_their_scope<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let of_tenant = |tenant: &str| GroupKey {
        tenant: tenant.into(),
        ..group("k")
    };
    subject.join(member::<H>(&of_tenant("t1"), "a")).await;
    subject.join(member::<H>(&of_tenant("t2"), "b")).await;
    let scope = |tenant: &str, action_type: &str| {
        Scope::new([ScopeGrant {
            tenants: vec![Pattern::from(tenant)],
            namespaces: vec![Pattern::Any],
            action_types: vec![Pattern::from(action_type)],
        }])
    };
    let seen = async |scope: Scope| {
        let page = listed(&*subject.state, &all_groups(scope.clone())).await;
        let of_key = subject
            .state
            .groups_of(&scope, "k")
            .await
            .expect("an answer");
        assert_eq!(ids(&page.groups), ids(&of_key));
        ids(&page.groups).join(", ")
    };
    assert_eq!(seen(scope("t2", "*")).await, "of b");
    assert_eq!(seen(scope("t3", "*")).await, "");
    assert_eq!(seen(scope("t1", "order")).await, "");
    assert_eq!(seen(scope("t1", "group_*")).await, "of a");
}

/// The one that takes members, else the one being delivered, else the last one.
pub async fn the_current_group_of_a_key_is_found_for_each_rule<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let key = group("k");
    let other = GroupKey {
        rule: "h".into(),
        ..key.clone()
    };
    let current = async || {
        let found = subject.state.groups_of(&Scope::everything(), "k").await;
        let found = found.expect("an answer").into_iter();
        let shown = found.map(|group| (group.name.key.rule.to_string(), group.name.id.to_string()));
        shown.collect::<Vec<_>>()
    };
    let of = |rule: &str, id: &str| (rule.to_owned(), id.to_owned());
    subject.join(member::<H>(&key, "a")).await;
    subject.join(member::<H>(&other, "b")).await;
    assert_eq!(current().await, [of("g", "of a"), of("h", "of b")]);
    subject.pass(DUE).await;
    let token = Token::random();
    let due = subject.due(10, token).await.groups;
    assert_eq!(current().await, [of("g", "of a"), of("h", "of b")]);
    subject.join(member::<H>(&key, "c")).await;
    for group in &due {
        assert!(
            subject
                .finish(&held(group, token), GroupEnd::Notified)
                .await
        );
    }
    assert_eq!(current().await, [of("g", "of c"), of("h", "of b")]);
}
