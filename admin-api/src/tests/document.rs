//! The OpenAPI document and the pages that show it.

use std::path::Path;

use axum::http::StatusCode;
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use super::World;
use crate::openapi;

pub(super) fn document() -> Value {
    serde_json::to_value(openapi(OpenApi::default())).unwrap()
}

/// Name (`GET /health`) and description of every operation.
pub(super) fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let item = item.as_object().unwrap();
            item.iter().map(move |(method, operation)| {
                let name = format!("{} {path}", method.to_uppercase());
                (name, operation.as_object().unwrap())
            })
        })
        .collect()
}

#[test]
fn the_checked_in_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept
        .lines()
        .zip(made.lines())
        .position(|(kept, made)| kept != made);
    let line = differs.map_or(kept.lines().count().min(made.lines().count()), |at| at) + 1;
    assert!(
        kept == made,
        "the endpoints and admin-api/openapi.json differ, first in line {line}. If the change is intended, run \
         `UPDATE_OPENAPI=1 cargo test -p acteon-admin-api` and commit the file"
    );
}

#[test]
fn every_operation_parameter_and_answer_is_described() {
    let document = document();
    let operations = operations(&document);
    assert_eq!(operations.len(), 32);
    for (name, operation) in operations {
        for field in ["summary", "operationId"] {
            assert!(operation[field].is_string(), "{name}: {field}");
        }
        assert!(operation["tags"][0].is_string(), "{name}: tag");
        for parameter in operation
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
        }
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.contains_key("200"), "{name}");
        for (status, answer) in answers {
            assert!(
                answer["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name}"
            );
            let json = &answer["content"]["application/json"];
            if !status.starts_with('2') {
                assert!(json["schema"]["$ref"].is_string(), "{name}: {status}");
                assert!(json["example"]["code"].is_string(), "{name}: {status}");
            }
        }
    }
}

#[test]
fn operation_ids_are_unique_for_generators_of_clients() {
    let document = document();
    let operations = operations(&document);
    let ids: std::collections::BTreeSet<_> = operations
        .iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len(), "{ids:?}");
}

#[test]
fn endpoints_mounted_next_to_these_are_in_the_same_document() {
    let mut extra = OpenApi::default();
    let item = utoipa::openapi::PathItem::default();
    extra.paths.paths.insert("/v1/dispatch".into(), item);
    let whole = serde_json::to_value(openapi(extra)).unwrap();
    assert!(whole["paths"]["/v1/dispatch"].is_object());
    assert!(whole["paths"]["/v1/rules"].is_object());
    assert_eq!(whole["info"]["title"], "Acteon");
}

#[tokio::test(start_paused = true)]
async fn the_pages_and_everything_they_load_come_from_this_server() {
    let world = World::new();
    let bare = world.get("/swagger-ui").await;
    assert_eq!(
        (bare.status, &bare.headers["location"]),
        (StatusCode::SEE_OTHER, &"/swagger-ui/".parse().unwrap())
    );
    let page = world.get("/swagger-ui/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let html = String::from_utf8(page.body).unwrap();
    let loaded: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(loaded.len() >= 4, "{loaded:?}");
    for asset in loaded {
        let asset = asset.strip_prefix("./").unwrap_or(asset);
        assert!(!asset.contains("//"), "{asset} is fetched from elsewhere");
        let answer = world.get(&format!("/swagger-ui/{asset}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        assert!(!answer.body.is_empty(), "{asset}");
    }
    let settings = world.get("/swagger-ui/swagger-initializer.js").await.body;
    assert!(
        String::from_utf8(settings)
            .unwrap()
            .contains("/api-doc/openapi.json")
    );
    let served = world.get("/api-doc/openapi.json").await;
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.json(), document());
    let missing = world.get("/swagger-ui/nothing.js").await;
    assert_eq!(
        (missing.status, missing.json()["code"].clone()),
        (StatusCode::NOT_FOUND, "NOT_FOUND".into())
    );
}
