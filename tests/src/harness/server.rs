//! The server as a user starts it: the binary with a configuration file, in a separate folder.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use acteon_services::eventually;
use acteon_services::process::free_ports;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A server under test. Killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    client: Client,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Server {
    /// Starts it with this configuration and these rule files, and waits until it answers. `{rules}` in the
    /// configuration is replaced by the folder of the rules.
    pub(crate) async fn start(config: &str, rules: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(config, rules);
        server.launch();
        server.until_healthy().await;
        server
    }

    /// Creates its folder without starting the process.
    pub(crate) fn prepare(config: &str, rules: &[(&str, &str)]) -> Self {
        super::tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports().unwrap();
        let server = Self {
            child: None,
            folder,
            port,
            client: Client::builder().no_proxy().build().unwrap(),
        };
        fs::create_dir(server.rules()).unwrap();
        for (name, text) in rules {
            server.write_rules(name, text);
        }
        let config = config.replace("{rules}", &server.rules().to_string_lossy());
        fs::write(server.folder.path().join("acteon.toml"), config).unwrap();
        server
    }

    /// Starts the process, which must not be running.
    pub(crate) fn launch(&mut self) {
        let mut options = fs::OpenOptions::new();
        let log = options.create(true).append(true).open(self.log_path());
        self.launch_writing_to(log.unwrap());
    }

    /// Like [`Server::launch`], with standard output and standard error written to `out`.
    pub(crate) fn launch_writing_to(&mut self, out: impl Into<OwnedFd>) {
        assert!(self.child.is_none(), "it runs already");
        self.spawn(Command::new(binary()), out.into());
    }

    /// Like [`Server::launch`], with files of at most this many bytes. A write beyond fails, and does not end the
    /// process.
    pub(crate) fn launch_with_files_up_to(&mut self, bytes: u64) {
        let limit = format!(
            "trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"",
            bytes / 512
        );
        let mut command = Command::new("sh");
        command.args(["-c", &limit]).arg(binary());
        let log = fs::File::create(self.log_path()).unwrap();
        self.spawn(command, log.into());
    }

    fn spawn(&mut self, mut command: Command, out: OwnedFd) {
        command
            .current_dir(self.folder.path())
            .args(["-c", "acteon.toml", "--port", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        self.child = Some(command.spawn().unwrap());
    }

    /// Polls `/health` until it answers.
    pub(crate) async fn until_healthy(&self) {
        let ask = async || self.client.get(self.url("/health")).send().await.is_ok();
        eventually(TIMEOUT, ask, |healthy| *healthy).await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, without waiting.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// SIGHUP, without waiting.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let id = self.process_id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until the process ends.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait().unwrap())
            .await
            .unwrap()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The folder of its configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn rules(&self) -> PathBuf {
        self.folder.path().join("rules")
    }

    pub(crate) fn write_rules(&self, name: &str, text: &str) {
        fs::write(self.rules().join(name), text).unwrap();
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body.to_string())).await
    }

    /// Sends this text with the JSON content type, even if it is not JSON.
    pub(crate) async fn post_text(&self, path: &str, body: String) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let mut request = self.client.request(method, self.url(path));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|e| panic!("{e:?}\n{}", self.log()));
        let status = answer.status();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, body }
    }

    /// The counters of `/health`.
    pub(crate) async fn counters(&self) -> Value {
        self.get("/health").await.body["metrics"].clone()
    }

    /// Waits until a counter has reached `count`.
    pub(crate) async fn until_counted(&self, name: &str, count: u64, timeout: Duration) -> Value {
        let reached = |counters: &Value| counters[name].as_u64().unwrap_or_default() >= count;
        eventually(timeout, async || self.counters().await, reached).await
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log_path()).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "the server's log ends:\n{}",
                lines[lines.len().saturating_sub(30)..].join("\n")
            );
        }
    }
}

/// The server binary in the folder of this test binary, built by the same command.
pub(crate) fn binary() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = profile.join("acteon-server");
    assert!(
        binary.exists(),
        "{} is not there: run `cargo build -p acteon-server` first, as `make test` does",
        binary.display()
    );
    binary
}
