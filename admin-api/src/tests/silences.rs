//! Silences: pages, one, creation, change, end and preview.

use acteon_core::audit::AuditRecord;
use acteon_testkit::{Reach, epoch};
use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::advance;

use super::fake_silences::LIVE_MAX;
use super::samples::record;
use super::{Answer, World};

/// The end of a silence that a test asks for: an hour after the epoch.
fn in_minutes(minutes: i64) -> String {
    (epoch() + SignedDuration::from_mins(minutes)).to_string()
}

fn asked(tenant: &str, minutes: i64) -> Value {
    json!({
        "namespace": "ns",
        "tenant": tenant,
        "matchers": [{"name": "cluster", "op": "=", "value": "eu \"1\" é"}],
        "ends_at": in_minutes(minutes),
        "comment": "the database is moved",
    })
}

async fn create(world: &World, asked: &Value) -> Answer {
    world.send("POST", "/v1/silences", &asked.to_string()).await
}

/// Creates a silence, and returns its path.
async fn created(world: &World, asked: &Value) -> String {
    let answer = create(world, asked).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    format!("/v1/silences/{}", answer.json()["id"].as_str().unwrap())
}

fn tenants(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let silences = json["silences"].as_array().unwrap();
    let tenants = silences
        .iter()
        .map(|silence| silence["tenant"].as_str().unwrap());
    tenants.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_created_shown_and_listed() {
    let world = World::new();
    let answer = create(&world, &asked("t1", 60)).await;
    insta::assert_snapshot!(answer.shown());
    let path = format!("/v1/silences/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.json(), answer.json());
    let listed = json!({"silences": [answer.json()], "next_cursor": null});
    assert_eq!(world.get("/v1/silences").await.json(), listed);
}

#[tokio::test(start_paused = true)]
async fn silences_are_filtered_and_a_walk_by_cursor_sees_each_once() {
    let world = World::new();
    for number in 0..9 {
        let mut silence = asked(&format!("t{number}"), 60 * (1 + number % 3));
        if number % 3 == 2 {
            silence["starts_at"] = in_minutes(120).into();
        }
        created(&world, &silence).await;
    }
    created(&world, &asked("*", 600)).await;
    advance(SignedDuration::from_mins(60).unsigned_abs()).await;
    for (filters, expected) in [
        ("?tenant=t4", "* t4"),
        ("?tenant=t4&namespace=ns", "* t4"),
        ("?namespace=other", ""),
        ("?state=expired", "t6 t3 t0"),
        ("?state=active", "* t7 t4 t1"),
        ("?state=pending", "t8 t5 t2"),
        ("?state=pending&tenant=t5", "t5"),
    ] {
        let answer = world.get(&format!("/v1/silences{filters}")).await;
        assert_eq!(tenants(&answer).join(" "), expected, "{filters}");
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = world.get(&format!("/v1/silences?limit=3{cursor}")).await;
        seen.extend(tenants(&answer));
        match answer.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.join(" "), "* t8 t7 t6 t5 t4 t3 t2 t1 t0");
}

/// Their record belongs to the namespace and tenant of the silence.
#[tokio::test(start_paused = true)]
async fn an_operator_changes_and_ends_a_silence_and_each_is_recorded_once() {
    let world = World::new();
    let path = created(&world, &asked("t1", 60)).await;
    let change = json!({"ends_at": in_minutes(90), "comment": "it takes longer"});
    let changed = world.send("PUT", &path, &change.to_string()).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.json()["ends_at"], in_minutes(90));
    assert_eq!(changed.json()["comment"], "it takes longer");
    advance(SignedDuration::from_mins(80).unsigned_abs()).await;
    for _ in 0..2 {
        let ended = world.ask("DELETE", &path, &[], "").await;
        assert_eq!(ended.status, StatusCode::OK);
        assert_eq!(ended.json()["state"], "expired");
        assert_eq!(ended.json()["ends_at"], in_minutes(80));
    }
    let late = world.send("PUT", &path, &change.to_string()).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(late.json()["code"], "SILENCE_ENDED");
    let shown = |record: &AuditRecord| {
        let subject = &record.subject;
        assert_eq!(
            (
                &*subject.namespace,
                &*subject.tenant,
                &*record.source.stream
            ),
            ("ns", "t1", "admin")
        );
        let details = serde_json::to_value(&record.outcome).unwrap();
        assert_eq!(
            details["id"],
            changed.json()["id"],
            "the record names the silence"
        );
        format!("{} {}", subject.action_type, record.outcome.name())
    };
    let records: Vec<_> = world.trail.records().iter().map(shown).collect();
    let expected = [
        "acteon.silences.create created",
        "acteon.silences.change changed",
        "acteon.silences.end ended",
    ];
    assert_eq!(records, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_silence_is_refused_with_the_name_of_its_field() {
    let world = World::new();
    let with = |key: &str, value: Value| {
        let mut silence = asked("t1", 60);
        silence[key] = value;
        silence
    };
    let matcher = |op: &str| json!([{"name": "a", "op": op, "value": "b"}]);
    let surplus = json!([{"name": "a", "op": "=", "value": "b", "regex": true}]);
    let mut without_comment = asked("t1", 60);
    without_comment.as_object_mut().unwrap().remove("comment");
    for (silence, message) in [
        (with("matchers", matcher("==")), "`matchers[0].op`"),
        (with("matchers", surplus), "`regex`"),
        (with("matchers", json!(["a=b"])), "`matchers[0]`"),
        (with("starts_at", Value::Null), "`starts_at`"),
        (with("ends_at", json!("tomorrow")), "`ends_at`"),
        (with("created_by", json!("me")), "`created_by`"),
        (without_comment, "`comment`"),
    ] {
        let answer = create(&world, &silence).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{silence}");
        assert_eq!(answer.json()["code"], "INVALID_JSON");
        let shown = answer.json()["message"].to_string();
        assert!(shown.contains(message), "{shown}");
    }
    let past = create(&world, &asked("t1", 0)).await;
    assert_eq!(past.status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = json!({
        "code": "INVALID_SILENCE", "message": "`ends_at`: must be in the future", "retryable": false,
    });
    assert_eq!(past.json(), expected);
    let path = created(&world, &asked("t1", 60)).await;
    for change in ["{}", r#"{"comment": null}"#, r#"{"starts_at": "x"}"#, "[]"] {
        let answer = world.send("PUT", &path, change).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change}");
    }
    for query in ["state=", "state=old", "limit=0", "limit=1001", "cursor=x"] {
        let answer = world.get(&format!("/v1/silences?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.json()["code"], "INVALID_QUERY");
    }
    assert_eq!(world.trail.records().len(), 1, "the one that was created");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_silence_is_not_found_and_one_too_many_is_refused() {
    let world = World::new();
    let change = json!({"comment": "x"}).to_string();
    let path = "/v1/silences/0198c0de";
    for answer in [
        world.get(path).await,
        world.send("PUT", path, &change).await,
        world.ask("DELETE", path, &[], "").await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let expected = json!({
            "code": "SILENCE_NOT_FOUND", "message": "there is no silence \"0198c0de\"", "retryable": false,
        });
        assert_eq!(answer.json(), expected);
    }
    for _ in 0..LIVE_MAX {
        created(&world, &asked("t1", 60)).await;
    }
    let refused = create(&world, &asked("t1", 60)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["code"], "SILENCES_FULL");
    created(&world, &asked("t2", 60)).await;
    let records = world.trail.records().len();
    assert_eq!(records, LIVE_MAX + 1, "refusals change nothing");
}

#[tokio::test(start_paused = true)]
async fn without_its_state_every_request_is_to_be_repeated() {
    let world = World::new();
    let path = created(&world, &asked("t1", 60)).await;
    world.state.set_reach(Reach::CutOff);
    let change = json!({"comment": "x"}).to_string();
    for answer in [
        world.get("/v1/silences").await,
        world.get(&path).await,
        create(&world, &asked("t1", 60)).await,
        world.send("PUT", &path, &change).await,
        world.ask("DELETE", &path, &[], "").await,
        preview(&world, &asked("t1", 60)).await,
    ] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json()["code"], "STATE_UNAVAILABLE");
        assert_eq!(answer.json()["retryable"], true);
    }
}

async fn preview(world: &World, asked: &Value) -> Answer {
    let path = "/v1/silences?preview=true";
    world.send("POST", path, &asked.to_string()).await
}

/// A record of an action with this label.
fn labelled(number: u32, cluster: &str) -> AuditRecord {
    let mut record = record(number, i64::from(number));
    record.metadata = [("cluster", cluster)].into_iter().collect();
    record
}

#[tokio::test(start_paused = true)]
async fn a_preview_counts_what_would_have_been_withheld_and_creates_nothing() {
    let world = World::new();
    let clusters = ["eu \"1\" é", "us", ""];
    let number_of = |cluster: usize, n: u32| n * 3 + u32::try_from(cluster).unwrap();
    let records = (0..10).flat_map(|n| {
        let clusters = clusters.into_iter().enumerate();
        clusters.map(move |(at, cluster)| labelled(number_of(at, n), cluster))
    });
    let mut foreign = labelled(100, clusters[0]);
    foreign.subject.tenant = "t2".into();
    let mut change = labelled(101, clusters[0]);
    change.source = "admin".into();
    let mut old = labelled(102, clusters[0]);
    old.dispatched_at = epoch() - SignedDuration::from_hours(25);
    let others = [foreign, change, old];
    world.keep_records(records.chain(others)).await;
    let answer = preview(&world, &asked("t1", 60)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({
        "matched": 10, "examined": 30, "truncated": false,
        "examples": ["a-27", "a-24", "a-21", "a-18", "a-15"],
    });
    assert_eq!(answer.json(), expected);
    let everyone = preview(&world, &asked("*", 60)).await.json();
    assert_eq!(
        (&everyone["matched"], &everyone["examined"]),
        (&json!(11), &json!(31))
    );
    let mut of_type = asked("t1", 60);
    of_type["matchers"] = json!([{"name": "action_type", "op": "=", "value": "other"}]);
    assert_eq!(preview(&world, &of_type).await.json()["examined"], 0);
    let listed = world.get("/v1/silences").await.json();
    assert_eq!(listed["silences"], json!([]));
    assert!(world.trail.records().is_empty());
    let refused = preview(&world, &asked("t1", 0)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// It has a record of its joining and one of the flush. A summary is no action that a silence withholds.
#[tokio::test(start_paused = true)]
async fn a_preview_counts_a_member_of_a_group_once_and_no_summary() {
    let world = World::new();
    let joined = labelled(1, "eu \"1\" é");
    let mut left_out = labelled(2, "eu \"1\" é");
    left_out.subject.action_id = joined.subject.action_id.clone();
    let summaries = [(3, "groups/g-1"), (4, "replay:groups/g-1")].map(|(number, source)| {
        let mut summary = labelled(number, "eu \"1\" é");
        summary.source = source.into();
        summary
    });
    let records = [joined, left_out].into_iter().chain(summaries);
    world.keep_records(records).await;
    let expected = json!({"matched": 1, "examined": 1, "truncated": false, "examples": ["a-1"]});
    assert_eq!(preview(&world, &asked("t1", 60)).await.json(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_preview_of_a_long_day_examines_the_newest_ten_thousand_records() {
    let world = World::new();
    world
        .keep_records((0..10_000).map(|number| labelled(number, "eu \"1\" é")))
        .await;
    let whole = preview(&world, &asked("t1", 60)).await.json();
    assert_eq!(whole["matched"], 10_000);
    assert_eq!(whole["truncated"], false);
    world.keep_records([labelled(20_000, "us")]).await;
    let cut = preview(&world, &asked("t1", 60)).await.json();
    assert_eq!(cut["matched"], 9_999);
    assert_eq!(cut["examined"], 10_000);
    assert_eq!(cut["truncated"], true);
}

#[tokio::test(start_paused = true)]
async fn without_an_audit_trail_there_is_no_preview_but_silences() {
    let world = World::with(|ports| ports.audit = None);
    let answer = preview(&world, &asked("t1", 60)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json()["code"], "AUDIT_DISABLED");
    created(&world, &asked("t1", 60)).await;
}

/// 32 conditions of the longest values are more than the bound of other administrative requests.
#[tokio::test(start_paused = true)]
async fn a_silence_with_many_long_conditions_is_read() {
    let world = World::reading(100_000, |_| {});
    let mut long = asked("t1", 60);
    let matchers =
        (0..32).map(|n| json!({"name": format!("l{n}"), "op": "!=", "value": "v".repeat(1024)}));
    long["matchers"] = matchers.collect();
    let path = created(&world, &long).await;
    let shown = world.get(&path).await.json();
    assert_eq!(shown["matchers"], long["matchers"]);
}
