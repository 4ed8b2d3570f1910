//! The server with the configuration and the rules of the example, in a separate folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use acteon_services::process::{Process, free_ports};
use anyhow::{Context, ensure};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;

use crate::TIMEOUT;

const CONFIGURATION: &str = include_str!("../../../examples/kafka/acteon.toml");
const RULES: &str = include_str!("../../../examples/kafka/rules/once.yaml");
/// The addresses in the example, replaced by the ones of the started servers.
const BROKER: &str = "127.0.0.1:9092";
const RECEIVER: &str = "127.0.0.1:9000";
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A running server. Dropping it stops it and removes its folder.
pub(crate) struct Server {
    _process: Process,
    folder: TempDir,
    url: String,
    client: Client<HttpConnector, Body>,
}

impl Server {
    /// Starts it and waits until it reads the topic.
    pub(crate) async fn start(broker: &str, receiver: SocketAddr) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("acteon-demo").tempdir()?;
        let configuration = CONFIGURATION
            .replace(BROKER, broker)
            .replace(RECEIVER, &receiver.to_string());
        fs::write(folder.path().join("acteon.toml"), configuration)?;
        fs::create_dir(folder.path().join("rules"))?;
        fs::write(folder.path().join("rules/once.yaml"), RULES)?;
        let [port] = free_ports()?;
        let mut command = Command::new(binary()?);
        command.args(["--port", &port.to_string()]);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let url = format!("http://127.0.0.1:{port}");
        let mut process = Process::start(&command, folder.path())?;
        let ready = format!("{url}/ready");
        let is_ready = async || ask(&client, &ready).await.is_ok();
        let started = process.until_ready(TIMEOUT, is_ready).await;
        started.context("starting the server")?;
        Ok(Self {
            _process: process,
            folder,
            url,
            client,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder with its configuration, its rules and its log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = ask(&self.client, &format!("{}{path}", self.url)).await?;
        Ok(String::from_utf8(answer.to_vec())?)
    }
}

async fn ask(client: &Client<HttpConnector, Body>, url: &str) -> anyhow::Result<Bytes> {
    let request = Request::get(url).body(Body::empty())?;
    let answer = client.request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
    ensure!(status == StatusCode::OK, "{url} answered {status}");
    Ok(body.to_bytes())
}

/// The server binary in the folder of this program: `make demo` builds both.
fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("acteon-server");
    ensure!(
        path.exists(),
        "{} is not there: `make demo` builds it",
        path.display()
    );
    Ok(path)
}
