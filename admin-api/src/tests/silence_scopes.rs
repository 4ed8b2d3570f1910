//! Callers with narrow scopes, and silences. Requests have no scope yet, so these tests call the use cases.

use acteon_core::scope::{Pattern, ScopeGrant};
use acteon_core::silence::{ACTION_TYPE, MatchOp, SilenceMatcher};
use acteon_core::silence_admin::{NewSilence, SilenceChange, SilenceError};
use acteon_core::state::SilenceQuery;
use acteon_core::{Caller, Scope};
use acteon_testkit::epoch;
use jiff::SignedDuration;

use super::World;
use super::samples::record;
use crate::{Access, AdminError};

/// A caller with one grant.
fn caller(namespace: &str, tenant: &str, action_type: &str) -> Access {
    let only = |name: &str| vec![Pattern::from(name)];
    Access {
        scope: Scope::new([ScopeGrant {
            tenants: only(tenant),
            namespaces: only(namespace),
            action_types: only(action_type),
        }]),
        caller: Caller {
            id: Some("ann".into()),
            auth_method: "jwt",
        },
    }
}

fn everyone() -> Access {
    caller("*", "*", "*")
}

fn asked(namespace: &str, tenant: &str, action_type: Option<&str>) -> NewSilence {
    let matcher = |name: &str, value: &str| SilenceMatcher {
        name: name.into(),
        op: MatchOp::Equal,
        value: value.into(),
    };
    let exact = action_type.map(|action_type| matcher(ACTION_TYPE, action_type));
    NewSilence {
        namespace: namespace.into(),
        tenant: tenant.into(),
        matchers: exact
            .into_iter()
            .chain([matcher("cluster", "eu")])
            .collect(),
        starts_at: None,
        ends_at: epoch() + SignedDuration::from_hours(1),
        comment: "x".into(),
    }
}

/// Creates one, and returns its id.
async fn created(world: &World, access: &Access, asked: NewSilence) -> String {
    let created = world.api.create_silence(access, asked).await.unwrap();
    let silence = &created.stored.silence;
    assert_eq!(silence.created_by, "ann");
    silence.id.to_string()
}

fn is_forbidden<T>(result: &Result<T, AdminError>) -> bool {
    matches!(
        result,
        Err(AdminError::SilenceRefused(SilenceError::Forbidden))
    )
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_written_only_by_callers_whose_grants_cover_all_that_it_withholds() {
    let world = World::new();
    let page = Some("page");
    for (access, silence, may) in [
        (caller("ns", "t1", "*"), asked("ns", "t1", None), true),
        (caller("ns", "t1", "page"), asked("ns", "t1", page), true),
        (caller("n*", "t*", "p*"), asked("ns", "t1", page), true),
        (caller("ns", "t1", "page"), asked("ns", "t1", None), false),
        (caller("ns", "t1", "mail"), asked("ns", "t1", page), false),
        (caller("ns", "t1", "*"), asked("ns", "t2", None), false),
        (caller("ns", "t1", "*"), asked("ns", "*", None), false),
        (caller("ns", "t*", "*"), asked("ns", "*", None), false),
        (caller("ns", "*", "*"), asked("ns", "*", None), true),
        (caller("ns", "*", "*"), asked("*", "*", None), false),
        (everyone(), asked("*", "*", None), true),
    ] {
        let tried = world.api.create_silence(&access, silence.clone()).await;
        assert_eq!(tried.is_ok(), may, "{silence:?}");
        assert_eq!(is_forbidden(&tried), !may, "{silence:?}");
        let previewed = world.api.preview_silence(&access, &silence).await;
        assert_eq!(is_forbidden(&previewed), !may, "{silence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_sees_what_withholds_their_actions_and_changes_only_what_they_cover() {
    let world = World::new();
    let own = created(&world, &everyone(), asked("ns", "t1", None)).await;
    let of_all = created(&world, &everyone(), asked("*", "*", None)).await;
    let foreign = created(&world, &everyone(), asked("ns", "t2", None)).await;
    let ann = caller("ns", "t1", "*");
    let query = SilenceQuery {
        scope: ann.scope.clone(),
        namespace: None,
        tenant: None,
        phase: None,
        after: None,
        limit: 10,
    };
    let page = world.api.silences(&query).await.unwrap();
    let seen = page.silences.iter().map(|one| one.silence.id.to_string());
    assert_eq!(seen.collect::<Vec<_>>(), [of_all.clone(), own.clone()]);
    let longer = SilenceChange {
        ends_at: Some(epoch() + SignedDuration::from_hours(2)),
        comment: None,
    };
    for (id, seen, covered) in [
        (&own, true, true),
        (&of_all, true, false),
        (&foreign, false, false),
    ] {
        let found = world.api.silence(&ann, id).await;
        assert_eq!(found.is_ok(), seen);
        let changed = world.api.change_silence(&ann, id, longer.clone()).await;
        let ended = world.api.end_silence(&ann, id).await;
        for tried in [found, changed, ended] {
            match seen {
                true => assert!(tried.is_ok() || !covered && is_forbidden(&tried)),
                false => assert!(matches!(tried, Err(AdminError::SilenceNotFound(_)))),
            }
        }
    }
    let names = world.trail.records();
    let ends = names
        .iter()
        .filter(|record| record.subject.action_type == "acteon.silences.end");
    assert_eq!(ends.count(), 1);
    let again = world.api.end_silence(&ann, &own).await.unwrap();
    assert_eq!(again.stored.silence.id, own);
}

/// Not even as a number.
#[tokio::test(start_paused = true)]
async fn a_preview_examines_no_record_outside_the_scope() {
    let world = World::new();
    let of_type = |number, action_type: &str| {
        let mut record = record(number, 0);
        record.subject.action_type = action_type.into();
        record.metadata = [("cluster", "eu")].into_iter().collect();
        record
    };
    let records = [of_type(1, "page"), of_type(2, "mail"), of_type(3, "page")];
    world.keep_records(records).await;
    let ann = caller("ns", "t1", "page");
    let preview = world
        .api
        .preview_silence(&ann, &asked("ns", "t1", Some("page")))
        .await;
    let preview = preview.unwrap();
    assert_eq!((preview.matched, preview.examined), (2, 2));
    let all = world
        .api
        .preview_silence(&everyone(), &asked("ns", "t1", None))
        .await;
    assert_eq!(all.unwrap().examined, 3);
}
