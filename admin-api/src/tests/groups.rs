//! Groups: pages of them, one with its events, and the flush by hand.

use acteon_core::Redactor;
use acteon_core::grouping::GroupView;
use acteon_core::state::{GroupKey, GroupName, GroupStatus, StoredGroup};
use acteon_testkit::epoch;
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::json;

use super::World;

fn view(id: &str, rule: &str, key: &str, tenant: &str) -> GroupView {
    GroupView {
        group: StoredGroup {
            name: GroupName {
                key: GroupKey {
                    namespace: "ns".into(),
                    tenant: tenant.into(),
                    rule: rule.into(),
                    key: key.into(),
                },
                id: id.into(),
            },
            status: GroupStatus::Pending,
            size: 3,
            omitted: 0,
            opened_at: epoch(),
            last_at: epoch(),
            due_at: epoch() + jiff::SignedDuration::from_secs(30),
            settings: Bytes::new(),
            note: Bytes::new(),
        },
        provider: "slack".into(),
        labels: [("cluster", "prod")].into_iter().collect(),
    }
}

fn world() -> World {
    let world = World::with(|ports| {
        ports.redactor = Redactor::new(["secret".to_owned()], "[REDACTED]");
    });
    *world.groups.views.lock() = vec![
        view("g1", "by-cluster", "c38e", "t1"),
        view("g2", "by-cluster", "77aa", "t2"),
        view("g3", "by-team", "c38e", "t1"),
        view("g4", "by-team", "0e2e", "t1"),
    ];
    world
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_newest_first_and_page_by_page() {
    let world = world();
    let ids = async |path: &str| {
        let answer = world.get(path).await.json();
        let groups = answer["groups"].as_array().unwrap().clone();
        let ids: Vec<_> = groups
            .iter()
            .map(|group| group["group_id"].clone())
            .collect();
        (
            json!(ids),
            answer["next_cursor"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(ids("/v1/groups").await.0, json!(["g4", "g3", "g2", "g1"]));
    assert_eq!(ids("/v1/groups?tenant=t2").await.0, json!(["g2"]));
    let (first, cursor) = ids("/v1/groups?limit=3").await;
    assert_eq!(first, json!(["g4", "g3", "g2"]));
    let next = format!("/v1/groups?limit=3&cursor={}", cursor.unwrap());
    assert_eq!(ids(&next).await, (json!(["g1"]), None));
    let foreign = world.get("/v1/groups?cursor=!").await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_shown_with_its_redacted_events() {
    let world = world();
    let shown = world.get("/v1/groups/0e2e").await.json();
    let expected = json!({
        "group": {
            "group_id": "g4", "group_key": "0e2e", "rule": "by-team", "namespace": "ns",
            "tenant": "t1", "provider": "slack", "event_count": 3, "state": "pending",
            "notify_at": "2026-01-01T00:00:30Z", "created_at": "2026-01-01T00:00:00Z",
        },
        "labels": {"cluster": "prod"},
        "events": [{"pod": "web-1", "secret": "[REDACTED]"}],
    });
    assert_eq!(shown, expected);
}

#[tokio::test(start_paused = true)]
async fn the_rule_must_be_named_where_two_have_a_group_under_one_key() {
    let world = world();
    let both = world.get("/v1/groups/c38e").await;
    assert_eq!(both.status, StatusCode::CONFLICT);
    assert_eq!(both.json()["code"], "GROUP_AMBIGUOUS");
    let one = world.get("/v1/groups/c38e?rule=by-team").await.json();
    assert_eq!(one["group"]["group_id"], "g3");
    let none = world.get("/v1/groups/c38e?rule=other").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert_eq!(none.json()["code"], "GROUP_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_flushed_by_hand_and_the_change_is_recorded() {
    let world = world();
    let flushed = world.send("DELETE", "/v1/groups/0e2e", "").await;
    let expected =
        json!({"group_id": "g4", "event_count": 3, "status": "flushed", "notified": true});
    assert_eq!(flushed.json(), expected);
    assert_eq!(world.groups.flushed.lock()[0].rule, "by-team");
    let record = world.trail.records().pop().unwrap();
    assert_eq!(record.subject.action_type, "acteon.groups.flush");
    assert_eq!(
        (&*record.subject.namespace, &*record.subject.tenant),
        ("ns", "t1")
    );
    assert_eq!(record.outcome.name(), "flushed");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_being_delivered_is_not_flushed_again() {
    let world = world();
    world.groups.views.lock()[3].group.status = GroupStatus::Delivering;
    let refused = world.send("DELETE", "/v1/groups/0e2e", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["code"], "GROUP_NOT_PENDING");
    assert!(world.trail.records().is_empty());
    let unknown = world.send("DELETE", "/v1/groups/ffff", "").await;
    assert_eq!(unknown.json()["code"], "GROUP_NOT_FOUND");
}
