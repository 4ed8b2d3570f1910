//! Valid and invalid requests that Schemathesis generates from the OpenAPI document, against the running server: the
//! document must describe every answer.

use std::path::Path;
use std::process::Command;

use acteon_services::schemathesis;
use tokio::task::spawn_blocking;

use crate::harness::Server;

/// How long it generates requests.
const SECONDS: &str = "45";

const RULES: &str = "rules: [{ name: mute-tests, condition: { field: action.metadata.env, eq: test }, action: { type: suppress } }]";

/// `ACTEON_SCHEMATHESIS_SEED` overrides it.
fn seed() -> String {
    std::env::var("ACTEON_SCHEMATHESIS_SEED").unwrap_or_else(|_| "20260101".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_generated_request_is_answered_otherwise_than_documented() {
    let folder = schemathesis::fetch()
        .await
        .unwrap_or_else(|e| panic!("{e:#}"));
    let server = Server::start("[rules]\ndirectory = \"{rules}\"\n", &[("r.yaml", RULES)]).await;
    let seed = seed();
    println!("the seed is {seed}");
    let options = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spine/schemathesis.toml");
    // Its record of a run must not affect the next one.
    let memory = tempfile::tempdir().unwrap();
    let mut command: Command = schemathesis::command(&folder, &options);
    command.current_dir(memory.path());
    command.arg("run").arg(server.url("/api-doc/openapi.json"));
    command.args([
        "--seed",
        &seed,
        "--max-time",
        SECONDS,
        "--max-examples",
        "50",
    ]);
    command.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--checks",
        "all",
        "--no-color",
    ]);
    command.args(["--generation-database", "none", "--workers", "1"]);
    let ended = spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "seed {seed}\n{output}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let health = server.get("/health").await;
    assert!(health.status.is_success());
}
