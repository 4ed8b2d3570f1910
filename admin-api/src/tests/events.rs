//! Events: pages, one with its history, transitions by hand.

use std::sync::Arc;

use acteon_core::audit::AuditedOutcome;
use acteon_core::event_admin::{
    EventAdmin, EventDetails, EventTransition, PastTransition, TransitionError, TransitionRequest,
};
use acteon_core::state::{EventPhase, Events, StoredEvent};
use acteon_core::{Audit, AuditRecord, Caller, FailureCode, Scope, Verdict};
use acteon_testkit::{Event, UnreachableState, epoch, write_events};
use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, World};

/// Machines that allow every transition but the one to `never`, and change nothing.
pub(super) struct FakeEvents(pub(super) Arc<UnreachableState>);

#[async_trait]
impl EventAdmin for FakeEvents {
    /// The notice of `f1` was given, that of the others is silenced.
    fn details(&self, stored: &StoredEvent) -> EventDetails {
        let notified = stored.event.fingerprint == "f1";
        let silence = (!notified).then(|| "s-1".into());
        EventDetails {
            state_machine: "alert".into(),
            entered_at: epoch(),
            last_report_at: epoch(),
            starts_at: None,
            next_timer: Some(epoch()),
            silenced_by: silence.clone(),
            history: vec![PastTransition {
                at: epoch(),
                from: "open".into(),
                to: "firing".into(),
                cause: "report",
                by: Some("a-1".into()),
                note: None,
                notified,
                silenced_by: silence,
            }],
        }
    }

    async fn transition(
        &self,
        scope: &Scope,
        asked: &TransitionRequest,
        _: Caller,
    ) -> Result<EventTransition, TransitionError> {
        let stored = self.0.event(scope, &asked.event).await?;
        let stored = stored.ok_or(TransitionError::NotFound)?;
        if asked.to == "never" {
            return Err(TransitionError::Refused(
                "the machine allows no transition".into(),
            ));
        }
        Ok(EventTransition {
            previous_state: stored.record.state.clone(),
            new_state: format!("{} by {}", asked.to, asked.by).into(),
            notify: true,
            stored,
        })
    }
}

async fn with_events(count: usize) -> World {
    let world = World::new();
    let event = |number: usize| Event {
        namespace: "ns".into(),
        tenant: "t1".into(),
        fingerprint: format!("f{number}").into(),
        event_type: "outage".into(),
        state: if number.is_multiple_of(2) {
            "firing"
        } else {
            "open"
        }
        .into(),
        phase: EventPhase::Active,
        values: vec![if number < 3 { "eu" } else { "us" }.into()],
    };
    let events: Vec<_> = (0..count).map(event).collect();
    write_events(&*world.state, &events).await.unwrap();
    world
}

fn prints(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let events = json["events"].as_array().unwrap();
    assert_eq!(json["count"], events.len());
    let prints = events
        .iter()
        .map(|event| event["fingerprint"].as_str().unwrap());
    prints.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_is_shown_with_its_history_and_listed_without() {
    let world = with_events(1).await;
    insta::assert_snapshot!(world.get("/v1/events?namespace=ns&tenant=t1").await.shown());
    insta::assert_snapshot!(
        world
            .get("/v1/events/f0?namespace=ns&tenant=t1")
            .await
            .shown()
    );
}

#[tokio::test(start_paused = true)]
async fn filters_hold_and_a_walk_by_cursor_sees_each_event_once() {
    let world = with_events(10).await;
    for (filters, count) in [
        ("", 10),
        ("&status=firing", 5),
        ("&action_type=other", 0),
        ("&labels=label%200=eu", 3),
        ("&labels=label%200=eu&status=open", 1),
    ] {
        let answer = world
            .get(&format!("/v1/events?namespace=ns&tenant=t1{filters}"))
            .await;
        assert_eq!(prints(&answer).len(), count, "{filters}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/events?namespace=ns&tenant=t1&limit=3{cursor}");
        let answer = world.get(&path).await;
        seen.extend(prints(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..10).map(|number| format!("f{number}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn an_operator_moves_an_event_as_its_machine_allows() {
    let world = with_events(1).await;
    let body =
        |to: &str| json!({ "namespace": "ns", "tenant": "t1", "to": to, "by": "anna" }).to_string();
    let path = "/v1/events/f0/transition";
    let answer = world.send("PUT", path, &body("acknowledged")).await;
    let expected = json!({
        "fingerprint": "f0", "previous_state": "firing", "new_state": "acknowledged by anna", "notify": true,
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected));
    let refused = world.send("PUT", path, &body("never")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["code"], "INVALID_TRANSITION");
    let unknown = world
        .send("PUT", "/v1/events/f9/transition", &body("open"))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["code"], "EVENT_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_too_long_is_refused() {
    let world = with_events(1).await;
    for path in [
        "/v1/events",
        "/v1/events?namespace=ns",
        "/v1/events?namespace=ns&tenant=",
        "/v1/events?namespace=ns&tenant=t1&labels=eu",
        "/v1/events?namespace=ns&tenant=t1&limit=0",
        "/v1/events?namespace=ns&tenant=t1&cursor=x",
        "/v1/events/f0?namespace=ns",
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID_QUERY")),
            "{path}"
        );
    }
    let long = json!({ "namespace": "ns", "tenant": "t1", "to": "x", "note": "n".repeat(1025) });
    let answer = world
        .send("PUT", "/v1/events/f0/transition", &long.to_string())
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_explained_by_its_machine_and_by_the_records_about_it() {
    let world = with_events(1).await;
    let record = |number: u32, change: fn(&mut AuditRecord)| {
        let mut record = acteon_testkit::audit_record(number);
        record.subject.action_type = "outage".into();
        change(&mut record);
        Arc::new(record)
    };
    let records = [
        record(1, |record| {
            record.decision.verdict = Verdict::StateMachine;
            record.decision.matched_rule = Some("outages".into());
            record.outcome = AuditedOutcome::StateChanged {
                fingerprint: "f0".into(),
                previous_state: "open".into(),
                new_state: "firing".into(),
                notify: false,
                silenced_by: Some("s-1".into()),
            };
        }),
        record(2, |record| {
            record.decision.verdict = Verdict::StateMachine;
            record.outcome = AuditedOutcome::StateChanged {
                fingerprint: "another".into(),
                previous_state: "open".into(),
                new_state: "firing".into(),
                notify: true,
                silenced_by: None,
            };
        }),
        record(3, |record| {
            record.metadata = [("__fingerprint", "f0")].into_iter().collect();
            record.decision.verdict = Verdict::Suppress;
            record.decision.matched_rule = Some("mute".into());
            record.outcome = AuditedOutcome::Suppressed {
                rule: "mute".into(),
            };
        }),
    ];
    world.audit.append(&records).await.unwrap();
    let answer = world
        .get("/v1/events/f0/explain?namespace=ns&tenant=t1")
        .await;
    let json = answer.json();
    assert_eq!(answer.status, StatusCode::OK, "{json}");
    let reports = json["reports"].as_array().unwrap();
    let ids: Vec<_> = reports.iter().map(|one| &one["action_id"]).collect();
    assert_eq!(ids, ["action-3", "action-1"]);
    assert_eq!(
        (&json["rule"], &json["inhibited_by"]),
        (&json!("outages"), &json!("mute"))
    );
    assert_eq!(
        (&json["silenced_by"], &json["examined"]),
        (&json!("s-1"), &json!(3))
    );
    assert_eq!(json["transitions"][0]["silenced_by"], "s-1");
    let unknown = world
        .get("/v1/events/f9/explain?namespace=ns&tenant=t1")
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

fn changed(fingerprint: &str, silenced_by: Option<&str>) -> AuditedOutcome {
    AuditedOutcome::StateChanged {
        fingerprint: fingerprint.into(),
        previous_state: "open".into(),
        new_state: "firing".into(),
        notify: silenced_by.is_none(),
        silenced_by: silenced_by.map(Into::into),
    }
}

async fn explained(world: &World, fingerprint: &str) -> Value {
    let path = format!("/v1/events/{fingerprint}/explain?namespace=ns&tenant=t1");
    let answer = world.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK, "{fingerprint}");
    answer.json()
}

#[tokio::test(start_paused = true)]
async fn an_event_of_which_no_report_counted_is_explained_by_its_records() {
    let world = with_events(1).await;
    let mut inhibited = acteon_testkit::audit_record(1);
    inhibited.metadata = [("__fingerprint", "new")].into_iter().collect();
    inhibited.decision.verdict = Verdict::Suppress;
    inhibited.decision.matched_rule = Some("cluster-down".into());
    inhibited.outcome = AuditedOutcome::Suppressed {
        rule: "cluster-down".into(),
    };
    let mut foreign = acteon_testkit::audit_record(2);
    foreign.subject.tenant = "t2".into();
    foreign.metadata = [("__fingerprint", "foreign")].into_iter().collect();
    world.keep_records([inhibited, foreign]).await;
    let json = explained(&world, "new").await;
    let shown = ["state", "rule", "inhibited_by", "next_timer", "transitions"];
    let expected = [
        json!(null),
        json!(null),
        json!("cluster-down"),
        json!(null),
        json!([]),
    ];
    assert_eq!(shown.map(|key| json[key].clone()), expected);
    assert_eq!(json["reports"].as_array().unwrap().len(), 1);
    let foreign = "/v1/events/foreign/explain?namespace=ns&tenant=t1";
    assert_eq!(world.get(foreign).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn the_rule_and_the_silence_are_those_of_the_newest_counted_report() {
    let world = with_events(2).await;
    let mut report = acteon_testkit::audit_record(1);
    report.subject.action_type = "outage".into();
    report.decision.verdict = Verdict::StateMachine;
    report.decision.matched_rule = Some("outages".into());
    report.outcome = changed("f1", Some("s-0"));
    let mut told = report.clone();
    told.id = acteon_testkit::audit_record(2).id;
    told.dispatched_at = acteon_testkit::audit_record(2).dispatched_at;
    told.decision.matched_rule = None;
    told.outcome = changed("f1", None);
    world.keep_records([report, told]).await;
    let json = explained(&world, "f1").await;
    assert_eq!(
        (&json["rule"], &json["silenced_by"]),
        (&json!("outages"), &json!("s-0"))
    );
    assert_eq!(json["transitions"][0]["notified"], true);
}

#[tokio::test(start_paused = true)]
async fn a_transition_whose_notice_was_refused_was_not_announced_until_it_is_given_again() {
    let world = with_events(2).await;
    let mut refused = acteon_testkit::audit_record(1);
    refused.subject.action_id = "a-1".into();
    refused.subject.action_type = "outage".into();
    refused.metadata = [("__fingerprint", "f1")].into_iter().collect();
    refused.decision.verdict = Verdict::StateMachine;
    refused.outcome = AuditedOutcome::Failed {
        code: FailureCode::ExecutionFailed,
        message: "400".into(),
        retryable: false,
        attempts: 1,
    };
    world.keep_records([refused]).await;
    let json = explained(&world, "f1").await;
    assert_eq!(json["transitions"][0]["notified"], false);
    let mut again = acteon_testkit::audit_record(2);
    again.subject.action_type = "outage".into();
    again.outcome = changed("f1", None);
    world.keep_records([again]).await;
    let json = explained(&world, "f1").await;
    assert_eq!(json["transitions"][0]["notified"], true);
}
