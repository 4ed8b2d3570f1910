//! A server process that ends with the process that started it, however that one ends. The server runs under a small
//! shell that reads a pipe from the parent. When a drop, a panic or `kill -9` closes the pipe, the shell kills the
//! server and removes its folder.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

/// Reads one line from the pipe, or its end. A line means stop and keep the folder; the end means remove it. `$1` is
/// the folder, the rest is the command. The shell itself ends when the server does.
const SUPERVISE: &str = r#"
folder=$1; shift
exec 3<&0
"$@" </dev/null >>"$folder/server.log" 2>&1 3<&- &
server=$!
(
    if read -r keep; then kill -9 $server; exit; fi
    kill -9 $server
    # It writes to its folder until it is gone.
    while kill -0 $server; do sleep 0.05; done
    rm -rf "$folder"
) <&3 >/dev/null 2>&1 &
exec 3<&-
wait $server
"#;

/// A running server. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Process {
    shell: Child,
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`; its output goes to `server.log` there.
    pub fn start(command: &Command, folder: &Path) -> anyhow::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISE, "sh"]).arg(folder);
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or(OsStr::new("")));
        }
        // Ctrl-C at the terminal must not end the shell before it has cleaned up.
        shell
            .current_dir(folder)
            .stdin(Stdio::piped())
            .process_group(0);
        let mut shell = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self {
            pipe: shell.stdin.take(),
            shell,
            folder: folder.to_owned(),
        })
    }

    /// Polls `ready` until it is true. Fails at once if the server has ended, or after `timeout`.
    pub async fn until_ready(
        &mut self,
        timeout: Duration,
        ready: impl AsyncFn() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        while !ready().await {
            if let Some(status) = self.shell.try_wait()? {
                bail!("the server ended ({status}):\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!(
                    "the server was not ready after {timeout:?}:\n{}",
                    self.log()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Kills the server and keeps its folder.
    pub fn kill(mut self) -> anyhow::Result<()> {
        let mut pipe = self.pipe.take().context("the pipe was closed before")?;
        pipe.write_all(b"keep\n")?;
        self.shell.wait()?;
        Ok(())
    }

    /// The end of the server's output.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.pipe.take().is_some() {
            // A failure here cannot be handled, and the shell ends by itself in any case.
            drop(self.shell.wait());
        }
    }
}

/// Sends a signal, such as `STOP`, to a process.
pub fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let mut kill = Command::new("kill");
    let status = kill.arg(format!("-{name}")).arg(pid.to_string()).status()?;
    match status.success() {
        true => Ok(()),
        false => bail!("`kill -{name} {pid}` failed ({status})"),
    }
}

/// `N` ports on 127.0.0.1 that are free now.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut open = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        open.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests;
