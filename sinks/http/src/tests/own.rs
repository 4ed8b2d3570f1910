//! Presets of users: in the configuration, or in a file.

use acteon_core::FailureCode;
use acteon_sinks_kit::contract::{CannedResponse, Receiver};

use super::*;

/// A preset that uses every part of the format.
fn definition() -> Value {
    json!({
        "base_url": "{{ options.url }}",
        "options": {
            "url": {"required": true, "secret": true}, "user": {"default": "acteon"},
            "password": {"secret": true, "description": "the password of the user"},
        },
        "values": {"key": "{{ action.fingerprint or action.id }}"},
        "retry_after": "/wait",
        "requests": [
            {
                "when": "action.status == 'resolved'", "method": "DELETE", "path": "incidents/{{ values.key }}/open",
                "query": {"by": "{{ labels.team or '' }}", "none": "{{ labels.none or '' }}"},
            },
            {
                "when": "payload.form", "form": {"To": "{{ payload.form }}", "Empty": ""},
                "headers": {"Authorization": "Basic {{ (options.user ~ ':' ~ options.password) | base64 }}"},
            },
            {"when": "payload.text is defined", "method": "PUT", "text_body": "{{ payload.text }} \"quoted\""},
            {
                "when": "not payload.nothing",
                "body": {
                    "{{ not }}": "a key", "n": "{{ payload.n }}", "absent": "{{ payload.absent }}",
                    "list": [1, "{{ payload.list }}", "{{ payload.absent }}"], "text": "n is {{ payload.n }}",
                },
            },
        ],
        "answers": [
            {"status": [409], "class": "success"},
            {"status": [200], "at": "/state", "equals": "busy", "class": "transient"},
            {"at": "/error", "contains": "QUOTA", "class": "rate_limited"},
            {"status": [200], "at": "/error", "class": "permanent"},
            {"status": [418], "class": "provider_fault"},
        ],
    })
}

async fn sink(receiver: &Receiver) -> Arc<dyn Sink> {
    let url = format!("http://{}/base/?v=1", receiver.address());
    let options = json!({"url": url, "password": "pass"});
    build(json!({"definition": definition(), "options": options}))
        .await
        .unwrap()
}

#[tokio::test]
async fn values_of_a_path_stay_in_their_segment_and_empty_pairs_are_left_out() {
    let receiver = Receiver::start([]).await;
    let sink = sink(&receiver).await;
    let end = action_with(&json!({
        "payload": {}, "status": "resolved", "fingerprint": "a/../b?c#d e", "metadata": {"team": "x&y=z"},
    }));
    deliver(&*sink, &end).await.unwrap();
    let request = receiver.received().remove(0);
    assert_eq!(request.method, "DELETE");
    assert_eq!(
        request.uri,
        "/base/incidents/a%2F..%2Fb%3Fc%23d%20e/open?v=1&by=x%26y%3Dz"
    );
    let up = action_with(&json!({"payload": {}, "status": "resolved", "fingerprint": ".."}));
    let error = deliver(&*sink, &up).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent);
    assert!(error.message.contains("`requests[0].path`"), "{error}");
}

#[tokio::test]
async fn a_body_is_a_form_a_text_or_a_tree() {
    let receiver = Receiver::start([]).await;
    let sink = sink(&receiver).await;
    let payloads = [
        json!({"form": "+49 & more"}),
        json!({"text": "line"}),
        json!({"n": 7, "list": [{"a": "\"}"}]}),
    ];
    for payload in &payloads {
        deliver(&*sink, &action(payload)).await.unwrap();
    }
    let received = receiver.received();
    let bodies: Vec<_> = received
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body))
        .collect();
    assert_eq!(bodies[0], "To=%2B49+%26+more");
    assert_eq!(
        received[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        received[0].header("authorization"),
        Some("Basic YWN0ZW9uOnBhc3M=")
    );
    assert_eq!(bodies[1], "line \"quoted\"");
    assert_eq!(received[1].method, "PUT");
    let tree: Value = serde_json::from_str(&bodies[2]).unwrap();
    let expected =
        json!({"{{ not }}": "a key", "n": 7, "list": [1, [{"a": "\"}"}]], "text": "n is 7"});
    assert_eq!(tree, expected);
}

#[tokio::test]
async fn the_first_matcher_of_an_answer_decides_also_about_a_2xx() {
    let receiver = Receiver::start([
        CannedResponse::of(409).body(r#"{"there": true}"#),
        CannedResponse::of(200).body(r#"{"state": "busy", "wait": "2.5"}"#),
        CannedResponse::of(400)
            .body(r#"{"error": "over quota", "wait": 3}"#)
            .header("retry-after", "9"),
        CannedResponse::of(200).body(r#"{"error": {"code": 1}}"#),
        CannedResponse::of(418).body("teapot"),
        CannedResponse::of(200).body(r#"{"error": null}"#),
        CannedResponse::of(503)
            .body(r#"{"wait": -1}"#)
            .header("retry-after", "9"),
    ])
    .await;
    let sink = sink(&receiver).await;
    let n = json!({"n": 7});
    let there = deliver(&*sink, &action(&n)).await.unwrap();
    assert_eq!(there.body.get(), r#"{"there": true}"#);
    let after = |seconds| SinkErrorClass::Transient {
        retry_after: Some(Duration::from_secs_f64(seconds)),
    };
    for (class, code) in [
        (after(2.5), FailureCode::ExecutionFailed),
        (after(3.0), FailureCode::RateLimited),
        (SinkErrorClass::Permanent, FailureCode::ExecutionFailed),
        (SinkErrorClass::ProviderFault, FailureCode::ExecutionFailed),
    ] {
        let error = refused(&*sink, &n).await;
        assert_eq!((error.class, error.code), (class, code));
    }
    deliver(&*sink, &action(&n)).await.unwrap();
    assert_eq!(refused(&*sink, &n).await.class, after(9.0));
}

#[tokio::test]
async fn a_template_that_fails_is_a_permanent_failure_that_names_its_place_and_no_value() {
    let receiver = Receiver::start([]).await;
    let sink = sink(&receiver).await;
    let error = refused(&*sink, &json!({"secret": "s3cret"})).await;
    assert_eq!(
        (error.class, error.code),
        (SinkErrorClass::Permanent, FailureCode::Serialization)
    );
    let message = "the preset's `requests[3].body.text`: undefined value: `payload.n` is undefined";
    assert_eq!(error.message, message);
    let error = refused(&*sink, &json!({"nothing": true})).await;
    assert!(
        error.message.contains("no request whose `when` holds"),
        "{error}"
    );
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_file_can_change_a_preset_that_comes_with_acteon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strict.toml");
    let text = "extends = \"generic\"\n[[answers]]\nstatus = [202]\nclass = \"permanent\"\n";
    std::fs::write(&path, text).unwrap();
    let receiver = Receiver::start([CannedResponse::of(202)]).await;
    let options = json!({"url": receiver.url()});
    let sink = build(json!({"preset_file": path, "options": options}))
        .await
        .unwrap();
    let error = refused(&*sink, &json!({"message": "m"})).await;
    assert_eq!(error.class, SinkErrorClass::Permanent);
    std::fs::write(
        &path,
        "base_url = \"x\"\nrequests = [{}]\nbase_ulr = \"y\"\n",
    )
    .unwrap();
    let error = build(json!({"preset_file": path}))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("`preset_file`: ") && error.contains("line 3"),
        "{error}"
    );
}
