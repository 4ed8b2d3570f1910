//! The OpenAPI document of the running server: its examples are sent to the server, and the answers must match the
//! document.

use acteon_core::Clock;
use jiff::SignedDuration;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

const CONFIG: &str = r#"
[rules]
directory = "{rules}"

[[providers]]
name = "email"
type = "log"
"#;

const MUTE: &str = "rules: [{ name: mute-tests, condition: { field: action.metadata.env, eq: test }, action: { type: suppress } }]";

struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    about: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, about)| Operation {
                method,
                path,
                about,
            })
        })
        .collect()
}

impl Operation<'_> {
    /// The path with the example of each parameter that it needs.
    fn asked(&self) -> String {
        let mut path = self.path.to_owned();
        let mut query = Vec::new();
        for parameter in self.about["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str().unwrap_or("x");
            path = path.replace(&format!("{{{name}}}"), example);
            if parameter["in"] == "query" && parameter["required"] == true {
                query.push(format!("{name}={example}"));
            }
        }
        match query.is_empty() {
            true => path,
            false => format!("{path}?{}", query.join("&")),
        }
    }

    fn body(&self) -> Option<&Value> {
        let body = self.about.get("requestBody")?;
        Some(&body["content"]["application/json"])
    }
}

/// The same body, and what ends there ends in an hour.
fn timely(body: &Value) -> Value {
    let mut body = body.clone();
    if body["ends_at"].is_string() {
        let end = Clock::default().now() + SignedDuration::from_hours(1);
        body["ends_at"] = end.to_string().into();
    }
    body
}

/// Validates values against a schema of the document.
fn validator(document: &Value, schema: &Value) -> Validator {
    let whole = json!({"allOf": [schema], "components": document["components"]});
    jsonschema::draft202012::new(&whole).unwrap()
}

fn assert_valid(document: &Value, content: &Value, value: &Value, what: &str) {
    let validator = validator(document, &content["schema"]);
    let problems: Vec<_> = validator
        .iter_errors(value)
        .map(|e| e.to_string())
        .collect();
    assert!(problems.is_empty(), "{what}: {problems:?} in {value}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_and_answer_has_an_example_that_its_schema_takes() {
    let server = Server::start(CONFIG, &[("mute.yaml", MUTE)]).await;
    let document = server.get("/api-doc/openapi.json").await.body;
    assert_eq!(document["tags"][0]["name"], "dispatch");
    let all = operations(&document);
    assert_eq!(all[0].path, "/v1/dispatch", "what most readers look for");
    for operation in all {
        let name = format!("{} {}", operation.method, operation.path);
        if let Some(content) = operation.body() {
            assert_valid(&document, content, &content["example"], &name);
        }
        for (status, answer) in operation.about["responses"].as_object().unwrap() {
            let content = &answer["content"]["application/json"];
            let example = content.get("example");
            let example = example.unwrap_or_else(|| panic!("{name} {status}: no example"));
            assert_valid(&document, content, example, &format!("{name} {status}"));
            let waits = status == "503" || status == "429";
            let header = &answer["headers"]["Retry-After"];
            assert_eq!(header.is_object(), waits, "{name} {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_that_is_sent_is_answered_as_the_document_says() {
    let server = Server::start(CONFIG, &[("mute.yaml", MUTE)]).await;
    let document = server.get("/api-doc/openapi.json").await.body;
    for operation in operations(&document) {
        let method = operation.method.to_uppercase();
        let path = operation.asked();
        let body = operation.body().map(|content| content["example"].clone());
        let method: Method = method.parse().unwrap();
        let sent = body.as_ref().map(|body| timely(body).to_string());
        let answer = server.ask(method, &path, sent).await;
        let name = format!("{} {path}", operation.method);
        let status = answer.status.as_str();
        let described = &operation.about["responses"][status];
        assert!(described.is_object(), "{name}: {status} {}", answer.body);
        let content = &described["content"]["application/json"];
        if answer.body.is_string() {
            continue;
        }
        assert_valid(
            &document,
            content,
            &answer.body,
            &format!("{name} {status}"),
        );
        // The dead letter, record, event, group, silence and directory do not exist; all other requests succeed.
        let absent = status == "404" || answer.body["code"] == "RULES_INVALID";
        assert!(
            answer.status.is_success() || absent,
            "{name}: {}",
            answer.body
        );
        if body.is_some() && !answer.status.is_success() {
            let absent = [
                "/v1/rules/reload",
                "/v1/events/{fingerprint}/transition",
                "/v1/silences/{id}",
            ];
            assert!(absent.contains(&operation.path), "{}", answer.body);
        }
    }
}
