//! The server under measurement, with webhooks as its providers.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::child::{Measured, counters, free_port, server_binary, until_ready};
use crate::far_end::FarEnd;
use crate::receiver::Receiver;

/// How often to poll for the outcome of the actions.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A running server in a separate folder. It ends when dropped.
pub(crate) struct Server {
    process: Measured,
    port: u16,
    folder: TempDir,
}

/// The outcome of a run's actions.
pub(crate) struct Ending {
    pub(crate) offered: u64,
    /// How many have reached neither the far end nor the dead letters.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) dead_lettered: u64,
    /// How long it took until none was missing, or how long the wait was.
    pub(crate) took: Duration,
}

impl Server {
    /// Starts it with this configuration, and waits until it answers.
    pub(crate) async fn start(config: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("acteon.toml");
        std::fs::write(&path, config)?;
        let port = free_port()?;
        let arguments = ["-c", &path.to_string_lossy(), "--port", &port.to_string()];
        let log = folder.path().join("log");
        let process = Measured::start(&server_binary()?, &arguments.map(str::to_owned), &log)?;
        let server = Self {
            process,
            port,
            folder,
        };
        let ready = until_ready(port, "/health", Duration::from_secs(10)).await;
        ready.with_context(|| server.log())?;
        Ok(server)
    }

    pub(crate) fn process(&self) -> &Measured {
        &self.process
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until every action has reached the far end or the dead letters, for at most `timeout`.
    pub(crate) async fn ending(
        &mut self,
        far_end: &FarEnd,
        timeout: Duration,
    ) -> anyhow::Result<Ending> {
        let start = Instant::now();
        loop {
            self.process.still_runs(&self.folder.path().join("log"))?;
            let counters = counters(self.port).await?;
            let dead_lettered = counters["dead_lettered"].as_u64().unwrap_or_default();
            let count = far_end.count();
            let lost = count.offered.saturating_sub(count.arrived + dead_lettered);
            if lost == 0 || start.elapsed() > timeout {
                return Ok(Ending {
                    offered: count.offered,
                    lost,
                    doubled: count.doubled,
                    dead_lettered,
                    took: start.elapsed(),
                });
            }
            sleep(ASK_EVERY).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The configuration of a provider, with the defaults.
pub(crate) fn webhook(name: &str, receiver: &Receiver) -> String {
    let url = receiver.url();
    format!(
        "[[providers]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\n"
    )
}
