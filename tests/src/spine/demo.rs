//! `make demo`, started from a shell and ended with Ctrl-C.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use acteon_services::eventually;

use super::readme::demo_sample;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The demo in a separate process group, as a terminal starts it.
struct Demo(Child);

impl Demo {
    fn start() -> Self {
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "demo"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        Self(make.spawn().unwrap())
    }

    /// The lines printed up to and including the first that begins with `last`.
    fn lines_until(&mut self, last: &str) -> Vec<String> {
        let output = BufReader::new(self.0.stdout.as_mut().unwrap());
        let mut seen = Vec::new();
        for line in output.lines().map(Result::unwrap) {
            seen.push(line);
            if seen.last().unwrap().starts_with(last) {
                return seen;
            }
        }
        panic!("no line begins with `{last}`: {seen:#?}");
    }

    /// Sends a signal to the whole group, as a terminal does on Ctrl-C.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.0.id());
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", name, "--", &group]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal("KILL");
        }
    }
}

/// The rest of the line that begins with `name`.
fn printed_after<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {lines:#?}"))
        .trim()
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// The address in `http://127.0.0.1:80/hook` or `127.0.0.1:80, topic orders`.
fn address(place: &str) -> String {
    let address = place.trim_start_matches("http://");
    let end = address.find(['/', ',']).unwrap_or(address.len());
    address[..end].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_delivers_what_is_written_once_and_leaves_nothing_behind() {
    let mut demo = Demo::start();
    let lines = demo.lines_until("Each line");
    let shown = demo_sample();
    let starting = lines
        .iter()
        .position(|line| line.starts_with("Starting the broker"));
    let printed = lines[starting.unwrap()..].iter().map(String::as_str);
    assert!(printed.map(first_word).eq(shown.lines().map(first_word)));
    let orders = lines.iter().filter(|line| line.starts_with("writing"));
    assert_eq!(orders.count(), 2);
    let arrived = lines.iter().filter(|line| line.starts_with("arrived"));
    let arrived: Vec<_> = arrived.collect();
    assert_eq!(arrived.len(), 1, "the second is the first again");
    assert!(arrived[0].contains(r#""id":"order-1""#), "{arrived:?}");
    assert!(printed_after(&lines, "audited").contains(r#""outcome":"deduplicated""#));

    let typed = r#"{"payload": {"order_id": 2}}"#;
    writeln!(demo.0.stdin.as_mut().unwrap(), "{typed}").unwrap();
    let lines_after = demo.lines_until("arrived");
    assert!(lines_after.last().unwrap().contains(r#"{"order_id": 2}"#));

    demo.signal("INT");
    demo.0.wait().unwrap();
    let addresses =
        ["broker", "receiver", "server"].map(|name| address(printed_after(&lines, name)));
    let listening = async || {
        let listens = |address: &&String| TcpStream::connect(address.as_str()).is_ok();
        addresses.iter().filter(listens).cloned().collect()
    };
    let nothing = |found: &Vec<String>| found.is_empty();
    eventually(TIMEOUT, listening, nothing).await;
    let folder = PathBuf::from(printed_after(&lines, "folder"));
    eventually(TIMEOUT, async || folder.exists(), |exists| !exists).await;
}
