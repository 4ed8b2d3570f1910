//! A mail server (aiosmtpd) that stores the messages it accepts. It is a Python package, fetched from PyPI.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::certificates::Authority;
use crate::process::{Process, free_ports};
use crate::python;

const WANTED: &[&str] = &["aiosmtpd==1.4.6", "attrs==25.3.0", "atpublic==6.0.1"];
const PROGRAM: &str = include_str!("smtp.py");
const START_TIMEOUT: Duration = Duration::from_secs(30);
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// The requirements and capabilities of the server.
#[derive(Clone, Copy, Debug)]
pub struct MailServerOptions {
    /// `none`, `starttls` or `implicit`.
    pub encryption: &'static str,
    /// The required user and password, if there are any.
    pub login: Option<(&'static str, &'static str)>,
    /// Whether it accepts internationalized addresses.
    pub smtputf8: bool,
}

/// A running server. Dropping it stops it and removes its messages.
#[derive(Debug)]
pub struct MailServer {
    folder: PathBuf,
    port: u16,
    _process: Process,
}

impl MailServer {
    /// The folder of its packages, downloaded if missing.
    pub async fn fetch() -> anyhow::Result<PathBuf> {
        spawn_blocking(|| python::packages("aiosmtpd-1.4.6", WANTED)).await?
    }

    /// Starts a server. Its certificate is for `localhost`.
    pub async fn start(options: MailServerOptions) -> anyhow::Result<Self> {
        let packages = Self::fetch().await?;
        let folder = tempfile::Builder::new().prefix("acteon-smtp").tempdir()?;
        let [port] = free_ports()?;
        Authority::new()?.write("localhost", folder.path())?;
        let program = folder.path().join("smtp.py");
        fs::write(&program, PROGRAM)?;
        let mut server = python::command(&packages);
        server
            .arg(program)
            .arg(argument(port, folder.path(), options));
        let folder = folder.keep();
        let mut process = Process::start(&server, &folder)?;
        let ready = async || {
            spawn_blocking(move || answers(port, options))
                .await
                .is_ok_and(|is| is)
        };
        process.until_ready(START_TIMEOUT, ready).await?;
        Ok(Self {
            folder,
            port,
            _process: process,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that issued the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The accepted messages, oldest first. Each is a JSON object written by `smtp.py`.
    pub fn messages(&self) -> Vec<String> {
        let messages = fs::read_to_string(self.folder.join("messages")).unwrap_or_default();
        messages.lines().map(str::to_owned).collect()
    }
}

/// True if the server sends its greeting. With implicit TLS, an accepted connection must do.
fn answers(port: u16, options: MailServerOptions) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut greeting = [0; 3];
    options.encryption == "implicit"
        || (stream.set_read_timeout(Some(GREETING_TIMEOUT)).is_ok()
            && stream.read_exact(&mut greeting).is_ok()
            && &greeting == b"220")
}

fn argument(port: u16, folder: &Path, options: MailServerOptions) -> String {
    let (user, password) = match options.login {
        Some((user, password)) => (quoted(user), quoted(password)),
        None => ("null".to_owned(), "null".to_owned()),
    };
    format!(
        r#"{{"port":{port},"folder":{},"encryption":{},"certificate":{},"key":{},"user":{user},"password":{password},"smtputf8":{}}}"#,
        quoted(&folder.display().to_string()),
        quoted(options.encryption),
        quoted(&folder.join("server.pem").display().to_string()),
        quoted(&folder.join("server.key").display().to_string()),
        options.smtputf8,
    )
}

/// A JSON string. The text must not need escapes.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
