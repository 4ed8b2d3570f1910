//! A caller with a narrow scope. Requests have no scope yet, so these tests call the use cases.

use std::time::Duration;

use acteon_core::audit::AuditQuery;
use acteon_core::redelivery::RedeliveryQuery;
use acteon_core::rules::EvaluateOptions;
use acteon_core::scope::ScopeGrant;
use acteon_core::state::DeadLetterQuery;
use acteon_core::{Caller, LetterFilter, Scope};
use acteon_testkit::action;

use super::World;
use super::samples::{exhausted, letter_id, poison, record, redelivering};
use crate::{Access, AdminError};

/// Tenant `t1` only.
fn narrow() -> Access {
    let grant = ScopeGrant {
        tenants: vec!["t1".into()],
        namespaces: vec!["*".into()],
        action_types: vec!["*".into()],
    };
    Access {
        scope: Scope::new([grant]),
        caller: Caller {
            id: Some("ann".into()),
            auth_method: "jwt",
        },
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_tenant_is_not_there() {
    let world = World::new();
    let access = narrow();
    let (mut foreign, mut letter) = (record(2, 1), exhausted(2));
    foreign.subject.tenant = "t2".into();
    letter.action.as_mut().unwrap().tenant = "t2".into();
    world.keep_records([record(1, 0), foreign]).await;
    world
        .keep_letters([exhausted(1), letter, poison(3, b"{oops")])
        .await;

    let query = AuditQuery::newest(access.scope.clone(), 10);
    assert_eq!(world.api.audit(&query).await.unwrap().total, 1);
    let record = world.api.audit_record(&access, "a-2", Duration::ZERO).await;
    assert!(matches!(record, Err(AdminError::AuditRecordNotFound(_))));

    let query = DeadLetterQuery {
        scope: access.scope.clone(),
        filter: LetterFilter::default(),
        after: None,
        limit: 10,
    };
    let total = world.api.dead_letters(&query).await.unwrap().total;
    assert_eq!(total, Some(1));
    for number in [2, 3] {
        let id = letter_id(number);
        let shown = world.api.dead_letter(&access, &id).await.map(drop);
        let deleted = world.api.delete_dead_letter(&access, &id).await;
        let replayed = world.api.replay(&access, &id).await.map(drop);
        for refused in [shown, deleted, replayed] {
            assert!(matches!(refused, Err(AdminError::DeadLetterNotFound(_))));
        }
    }
    assert!(world.trail.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_another_tenant_is_not_listed() {
    let world = World::new();
    let mut foreign = redelivering(2, 5);
    foreign.tenant = "t2".into();
    *world.redeliveries.0.lock() = vec![redelivering(1, 5), foreign];
    let listed = |scope, tenant: Option<&str>| {
        let page = world.api.redeliveries(&RedeliveryQuery {
            scope,
            namespace: None,
            tenant: tenant.map(Into::into),
            provider: None,
            action_type: None,
            after: None,
            limit: 10,
        });
        let ids = page.redeliveries.iter().map(|one| one.action_id.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed(Scope::everything(), None), ["a-1", "a-2"]);
    assert_eq!(listed(narrow().scope, None), ["a-1"]);
    let none: [&str; 0] = [];
    assert_eq!(listed(narrow().scope, Some("t2")), none);
}

#[tokio::test(start_paused = true)]
async fn an_action_of_another_tenant_may_not_be_tried() {
    let world = World::new();
    let try_of = async |tenant| {
        let action = action("a-1").tenant(tenant).build();
        let options = EvaluateOptions::default();
        world.api.evaluate(&narrow(), &action, &options).await
    };
    assert!(try_of("t1").await.is_ok());
    assert!(matches!(try_of("t2").await, Err(AdminError::Forbidden)));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_recorded_under_the_name_of_its_caller() {
    let world = World::new();
    world.keep_letters([exhausted(1)]).await;
    world
        .api
        .set_rule_enabled(&narrow(), "mute-tests", false)
        .await
        .unwrap();
    world.api.reload(&narrow(), None).await.unwrap();
    world.api.replay(&narrow(), &letter_id(1)).await.unwrap();
    let records = world.trail.records();
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(
            (record.caller.id.as_deref(), record.caller.auth_method),
            (Some("ann"), "jwt")
        );
    }
}
