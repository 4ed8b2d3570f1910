//! A misspelt request must change nothing: every operation of the document is called with unknown names.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::World;
use super::document::{document, operations};

/// A path with a value for each parameter.
fn path(template: &str) -> String {
    let parts = template.split('/');
    let parts: Vec<_> = parts
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect();
    parts.join("/")
}

fn body(operation: &Map<String, Value>) -> Option<Value> {
    let json = &operation.get("requestBody")?["content"]["application/json"];
    Some(match &json["example"] {
        Value::Null => json!({}),
        example => example.clone(),
    })
}

#[tokio::test(start_paused = true)]
async fn no_operation_accepts_an_unknown_query_parameter() {
    let (world, document) = (World::new(), document());
    for (name, operation) in operations(&document) {
        let (method, template) = name.split_once(' ').unwrap();
        if !template.starts_with("/v1/") {
            continue;
        }
        let asked = format!("{}?dry_runn=true", path(template));
        let body = body(operation).unwrap_or_default().to_string();
        let answer = world.send(method, &asked, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(answer.json()["code"], "INVALID_QUERY", "{name}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains("`dry_runn` is unknown"), "{message}");
    }
    assert!(world.trail.records().is_empty(), "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn no_listing_accepts_an_empty_filter() {
    let (world, document) = (World::new(), document());
    let mut asked = 0;
    for (name, operation) in operations(&document) {
        let (method, template) = name.split_once(' ').unwrap();
        let parameters = operation.get("parameters").and_then(Value::as_array);
        for parameter in parameters.into_iter().flatten() {
            let Some(query) = parameter["name"]
                .as_str()
                .filter(|_| parameter["in"] == "query")
            else {
                continue;
            };
            let path = format!("{}?{query}=", path(template));
            let answer = world.send(method, &path, r#"{"filter":{}}"#).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            let message = answer.json()["message"].to_string();
            assert!(message.contains(&format!("`{query}`")), "{path}: {message}");
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked} parameters");
}

#[tokio::test(start_paused = true)]
async fn no_operation_accepts_an_unknown_key_or_an_array_as_its_object() {
    let (world, document) = (World::new(), document());
    let mut asked = 0;
    for (name, operation) in operations(&document) {
        let Some(mut body) = body(operation) else {
            continue;
        };
        let (method, template) = name.split_once(' ').unwrap();
        let values = body.as_object().unwrap().values().cloned().collect();
        let array = Value::Array(values);
        body["directry"] = json!("x");
        for body in [body, array] {
            let answer = world.send(method, &path(template), &body.to_string()).await;
            let status = answer.status.as_u16();
            assert!([400, 422].contains(&status), "{name} {body}: {status}");
        }
        asked += 1;
    }
    assert!(asked >= 3, "{asked} operations take a body");
    assert!(world.trail.records().is_empty(), "nothing was changed");
    assert!(world.rulebook.toggles.lock().is_empty());
    assert!(world.rulebook.evaluated.lock().is_empty());
}
