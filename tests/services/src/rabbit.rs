//! One RabbitMQ node on 127.0.0.1, from the package of the system, with the `epmd` that Erlang nodes need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

mod queues;
mod secured;

pub use self::secured::{RabbitUser, SecuredRabbit};
use crate::java::run;
use crate::process::{Process, free_ports, signal};

/// Where the package keeps its scripts. Those on the path only run as root or as its own user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
const START_TIMEOUT: Duration = Duration::from_secs(90);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What a client sends first. The broker answers with a frame.
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A running broker. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Rabbit {
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    ports_of_erlang: [u16; 2],
    _epmd: Process,
    process: Mutex<Option<Process>>,
}

impl Rabbit {
    /// The scripts of the package.
    pub async fn fetch() -> anyhow::Result<PathBuf> {
        let scripts = PathBuf::from(SCRIPTS);
        ensure!(
            scripts.join("rabbitmq-server").exists(),
            "RabbitMQ is not installed: `.ci/tools test` lists what the tests need and how to install it"
        );
        Ok(scripts)
    }

    /// The broker shared by this test binary. It ends with the process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Rabbit> = OnceCell::const_new();
        let started = SHARED.get_or_try_init(Self::start).await;
        started.unwrap_or_else(|error| panic!("tests need RabbitMQ: {error:#}"))
    }

    /// Starts a separate broker.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_, _| Ok(String::new())).await
    }

    /// Starts a broker with additional lines of configuration, which `more` creates from the broker's folder and the port
    /// for TLS.
    async fn start_with(
        more: impl FnOnce(&Path, u16) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        Self::fetch().await?;
        let folder = tempfile::Builder::new().prefix("acteon-rabbit").tempdir()?;
        let [port, tls_port, dist, epmd] = free_ports()?;
        let config = format!(
            "max_message_size = 1048576\nlog.console = true\nlog.console.level = warning\n{}",
            more(folder.path(), tls_port)?
        );
        fs::write(folder.path().join("rabbitmq.conf"), config)?;
        fs::write(folder.path().join("enabled_plugins"), "[].\n")?;
        let folder = folder.keep();
        let names = folder.join("epmd");
        fs::create_dir(&names)?;
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &epmd.to_string(), "-address", "127.0.0.1"]);
        let rabbit = Self {
            _epmd: Process::start(&mapper, &names)?,
            folder,
            port,
            tls_port,
            ports_of_erlang: [dist, epmd],
            process: Mutex::new(None),
        };
        rabbit.restart().await?;
        Ok(rabbit)
    }

    /// `host:port` for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address for clients as a URL, with the user `guest`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}", self.address())
    }

    /// Kills the broker. Its port and data are kept for [`Rabbit::restart`].
    pub async fn stop(&self) -> anyhow::Result<()> {
        let running = self.slot().take();
        match running {
            Some(process) => spawn_blocking(|| process.kill()).await?,
            None => Ok(()),
        }
    }

    /// Starts the broker again on the same port and data; stops it first if it is running.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await?;
        let server = self.command("rabbitmq-server");
        let mut process = Process::start(&server, &self.folder)?;
        process
            .until_ready(START_TIMEOUT, async || self.answers().await)
            .await?;
        *self.slot() = Some(process);
        Ok(())
    }

    /// Runs `rabbitmqctl`.
    pub async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut control = self.command("rabbitmqctl");
        control.args(arguments);
        spawn_blocking(move || run(&mut control)).await?
    }

    /// Stops the broker in the middle of what it does, connections included, until [`Rabbit::resume`].
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// Lets a paused broker go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = fs::read_to_string(self.folder.join("pid")).context("no pid")?;
        signal(pid.trim().parse()?, name)
    }

    /// A script of the package for this broker.
    fn command(&self, script: &str) -> Command {
        let path = |name: &str| self.folder.join(name);
        let [dist, epmd] = self.ports_of_erlang;
        let mut command = Command::new(Path::new(SCRIPTS).join(script));
        command
            .env("HOME", &self.folder)
            .env(
                "RABBITMQ_NODENAME",
                format!("acteon{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("logs"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            // The script becomes the broker, so that its process can be killed and stopped.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            );
        command
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn answers(&self) -> bool {
        let asked = timeout(ANSWER_TIMEOUT, greets(self.port)).await;
        asked.is_ok_and(|answer| answer.unwrap_or(false))
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        let running = self.slot().take();
        if running.is_none() {
            // It was stopped before, so no supervising shell removes the data.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

async fn greets(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    let mut kind = [0];
    stream.read_exact(&mut kind).await?;
    // The first byte of a method frame; a broker that refuses the version answers with its own header.
    Ok(kind == [1])
}
