//! A process under measurement: started on a free port, polled over HTTP, its CPU time read from the kernel.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How often to poll whether a process is ready or done.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A running process; killed when dropped.
pub(crate) struct Measured {
    child: Child,
}

/// The CPU time a process has used, in seconds.
pub(crate) type CpuSeconds = f64;

impl Measured {
    /// Starts a program whose output goes to a file.
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let output = std::fs::File::create(log)?;
        let child = Command::new(program)
            .args(arguments)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child })
    }

    /// The CPU time used so far, all threads, user and system.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<CpuSeconds> {
        cpu_seconds_of(self.child.id())
    }

    /// The memory it holds now, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        status_mib_of(self.child.id(), "VmRSS:")
    }

    /// The most memory it has held since its start, in MiB.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        status_mib_of(self.child.id(), "VmHWM:")
    }

    /// Fails if the process has ended.
    pub(crate) fn still_runs(&mut self, log: &Path) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the process ended with {status}; its output:\n{}",
                std::fs::read_to_string(log)?
            );
        }
        Ok(())
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self, log: &Path) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        ensure!(
            status.success(),
            "the process ended with {status}: {}",
            said()
        );
        Ok(())
    }
}

/// The CPU time that a process has used so far, all threads, user and system.
pub(crate) fn cpu_seconds_of(process_id: u32) -> anyhow::Result<CpuSeconds> {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    // The second field is the name in parentheses and may contain spaces.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("an odd /proc/stat")?
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| -> anyhow::Result<f64> { Ok(fields[at].parse::<f64>()?) };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// A line of the kernel's status of a process, in MiB.
pub(crate) fn status_mib_of(process_id: u32, field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .with_context(|| format!("no {field}"))?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

impl Drop for Measured {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server binary beside this one, both built by the same command.
pub(crate) fn server_binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("acteon-server");
    ensure!(
        path.exists(),
        "{} is not there: `make bench` builds it",
        path.display()
    );
    Ok(path)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// Polls until `path` answers, for at most `timeout`.
pub(crate) async fn until_ready(port: u16, path: &str, timeout: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + timeout;
    loop {
        match get(port, path).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => sleep(ASK_EVERY).await,
        }
    }
}

/// The counters of a server.
pub(crate) async fn counters(port: u16) -> anyhow::Result<Value> {
    let health: Value = serde_json::from_slice(&get(port, "/health").await?)?;
    Ok(health["metrics"].clone())
}

/// Waits until the counter reaches `count` or `timeout` ends; returns all counters.
pub(crate) async fn until_counted(
    port: u16,
    counter: &str,
    count: u64,
    timeout: Duration,
) -> anyhow::Result<Value> {
    let until = Instant::now() + timeout;
    loop {
        let counters = counters(port).await?;
        if counters[counter].as_u64().unwrap_or_default() >= count {
            return Ok(counters);
        }
        ensure!(
            Instant::now() < until,
            "still at {counters} after {timeout:?}"
        );
        sleep(ASK_EVERY).await;
    }
}

async fn get(port: u16, path: &str) -> anyhow::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let split = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("no answer")?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(answer.split_off(split + 4))
}
