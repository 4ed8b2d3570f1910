//! One NATS server with JetStream on 127.0.0.1. It is a Go program: built once with the Go toolchain of the system, or
//! that of the system's package if there is no toolchain that can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

mod operator;
mod secured;
mod streams;

pub use self::operator::{OperatedNats, foreign_credentials};
pub use self::secured::{NatsUser, SecuredNats};
use crate::cache;
use crate::java::run;
use crate::process::{Process, free_ports, signal};

const MODULE: &str = "github.com/nats-io/nats-server/v2@v2.15.3";
const PROGRAM: &str = "nats-server";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A running server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    monitor: u16,
    process: Mutex<Option<Process>>,
}

impl Nats {
    /// The program, built if missing.
    pub async fn fetch() -> anyhow::Result<PathBuf> {
        spawn_blocking(|| {
            let built = cache::fetched("nats-server-2.15.3", |folder| {
                let mut go = Command::new("go");
                run(go.args(["install", MODULE]).env("GOBIN", folder))
            });
            match built {
                Ok(folder) => Ok(folder.join(PROGRAM)),
                // The package of the system is older, but enough.
                Err(error) => run(Command::new(PROGRAM).arg("--version"))
                    .map(|()| PathBuf::from(PROGRAM))
                    .context(format!("it could not be built either: {error:#}")),
            }
        })
        .await?
    }

    /// The server shared by this test binary. It ends with the process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Nats> = OnceCell::const_new();
        let started = SHARED.get_or_try_init(Self::start).await;
        started.unwrap_or_else(|error| panic!("tests need a NATS server: {error:#}"))
    }

    /// Starts a separate server.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| Ok(String::new())).await
    }

    /// Starts a server with additional lines of configuration, which `more` creates from the server's folder.
    pub async fn start_with(
        more: impl FnOnce(&Path) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let program = Self::fetch().await?;
        let folder = tempfile::Builder::new().prefix("acteon-nats").tempdir()?;
        let [port, monitor] = free_ports()?;
        let path = folder.path().display();
        let config = format!(
            "host: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:{monitor}\"\npid_file: \"{path}/pid\"\n\
             jetstream: {{ store_dir: \"{path}/data\" }}\n{}",
            more(folder.path())?
        );
        fs::write(folder.path().join("server.conf"), config)?;
        let nats = Self {
            program,
            folder: folder.keep(),
            port,
            monitor,
            process: Mutex::new(None),
        };
        nats.restart().await?;
        Ok(nats)
    }

    /// `host:port` for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address for clients as a URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The folder of the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the server. Its port and data are kept for [`Nats::restart`].
    pub async fn stop(&self) -> anyhow::Result<()> {
        let running = self.slot().take();
        match running {
            Some(process) => spawn_blocking(|| process.kill()).await?,
            None => Ok(()),
        }
    }

    /// Starts the server again on the same port and data; stops it first if it is running.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await?;
        let mut server = Command::new(&self.program);
        server.arg("-c").arg(self.folder.join("server.conf"));
        let mut process = Process::start(&server, &self.folder)?;
        process
            .until_ready(START_TIMEOUT, async || self.answers().await)
            .await?;
        *self.slot() = Some(process);
        Ok(())
    }

    /// Lets the server read its configuration again.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.signal("HUP")
    }

    /// Stops the server in the middle of what it does, connections included, until [`Nats::resume`].
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// Lets a paused server go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = fs::read_to_string(self.folder.join("pid"))?;
        signal(pid.trim().parse()?, name)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// True if it accepts clients and has read its streams.
    async fn answers(&self) -> bool {
        let asked = timeout(ANSWER_TIMEOUT, healthy(self.monitor)).await;
        asked.is_ok_and(|answer| answer.unwrap_or(false))
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let running = self.slot().take();
        if running.is_none() {
            // It was stopped before, so no supervising shell removes the data.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

async fn healthy(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = b"GET /healthz HTTP/1.0\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer
        .lines()
        .next()
        .is_some_and(|line| line.contains("200")))
}
