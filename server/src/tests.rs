//! The server, embedded in another program.

mod machines;
mod shutdown;

use acteon_config::{Inputs, ProblemList};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{AdapterSet, Config, Metrics, Server, ShutdownOutcome, Signals};

fn config(flags: &[(&str, &str)]) -> Config {
    let flags = flags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let inputs = Inputs {
        path: None,
        environment: Vec::new(),
        flags: flags.collect(),
    };
    AdapterSet::built_in().load(&inputs).unwrap()
}

async fn build(flags: &[(&str, &str)]) -> Result<Server, ProblemList> {
    let (metrics, _) = Metrics::detached();
    Server::build(config(flags), metrics).await
}

#[tokio::test]
async fn an_embedded_server_runs_until_its_token_is_cancelled() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let server = build(&[("server.port", "0")]).await.unwrap();
    let url = format!("http://{}/v1/dispatch", server.address().unwrap());
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    running.spawn(server.run(Signals::from_token(stop.clone())));
    let action = json!({
        "namespace": "n", "tenant": "t", "provider": "any", "action_type": "a", "payload": {},
    });
    let answer = reqwest::Client::new()
        .post(url)
        .json(&action)
        .send()
        .await
        .unwrap();
    let outcome: Value = answer.json().await.unwrap();
    assert_eq!(outcome["Executed"]["status"], "success");
    stop.cancel();
    assert_eq!(
        running.join_next().await.unwrap().unwrap(),
        ShutdownOutcome::Complete
    );
}

#[tokio::test]
async fn errors_that_waiting_cannot_repair_are_reported_before_anything_runs() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = build(&[("server.port", &port)]).await.err().unwrap();
    let expected = format!(
        "--port: server.port: cannot listen on 127.0.0.1:{port}: the address is in use; \
         choose another port: `--port 8090`, `ACTEON_SERVER__PORT=8090`, or 0 for one that is free"
    );
    assert_eq!(error.to_string(), expected);
    let missing = [("server.port", "0"), ("rules.directory", "/nowhere/at/all")];
    let error = build(&missing).await.err().unwrap();
    let expected = "--directory: rules.directory: there is no directory `/nowhere/at/all`";
    assert_eq!(error.to_string(), expected);
}
