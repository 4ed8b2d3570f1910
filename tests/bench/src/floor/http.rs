//! A careful handwritten server: parses the action typed, leaves the payload raw, and answers.

use acteon_core::decode::{decode, decode_batch};
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;

const ANSWER: &str = r#"{"Executed":{"status":"success","body":{"logged":true},"headers":{}}}"#;

pub(super) fn serve(port: u16) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let router = Router::new()
            .route("/health", axum::routing::get(|| async { "{}" }))
            .route("/v1/dispatch", post(one))
            .route("/v1/dispatch/batch", post(many));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

async fn one(body: Bytes) -> impl IntoResponse {
    match decode(&body) {
        Ok(_) => ([(header::CONTENT_TYPE, "application/json")], ANSWER).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn many(body: Bytes) -> impl IntoResponse {
    let Ok(actions) = decode_batch(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut answer = String::with_capacity(actions.len() * (ANSWER.len() + 1) + 2);
    answer.push('[');
    for (at, _) in actions.iter().enumerate() {
        if at > 0 {
            answer.push(',');
        }
        answer.push_str(ANSWER);
    }
    answer.push(']');
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}
