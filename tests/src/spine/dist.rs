//! The packages of `make dist` are installed, started and removed, and `make install` is undone: below a scratch folder,
//! with the tools of a real system. The binary is the debug build, packed in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use acteon_services::process::{Process, free_ports};

use crate::harness::binary;

const TIMEOUT: Duration = Duration::from_secs(30);

fn ran(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn make(arguments: &[&str]) -> String {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "PROFILE=dev"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    String::from_utf8(ran(&mut make).stdout).unwrap()
}

/// The package with this file name ending in the output of `make dist`.
fn package(said: &str, ending: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named = said.lines().find(|line| line.ends_with(ending));
    root.join(named.unwrap_or_else(|| panic!("no {ending} in {said}")))
}

/// All files below a folder, without the folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// A root folder with an empty package database.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        for folder in ["info", "updates", "triggers"] {
            fs::create_dir_all(root.path("var/lib/dpkg").join(folder)).unwrap();
        }
        fs::write(root.path("var/lib/dpkg/status"), "").unwrap();
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Runs dpkg on this root folder, without root privileges. The package's dependencies are not installed in it.
    fn dpkg(&self, action: &str, what: &Path) {
        let mut dpkg = Command::new("dpkg");
        let path = std::env::var("PATH").unwrap_or_default();
        dpkg.env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .arg(format!("--root={}", self.0.path().display()))
            .arg("--log=/dev/null")
            .args(["--force-not-root", "--force-depends"])
            .args(["--force-script-chrootless", action])
            .arg(what);
        ran(&mut dpkg);
    }

    /// Starts the installed server and waits until it is ready.
    async fn start(&self) -> Process {
        let [port] = free_ports().unwrap();
        let mut server = Command::new(self.path("usr/bin/acteon-server"));
        server
            .arg("-c")
            .arg(self.path("etc/acteon/acteon.toml"))
            .args(["--port", &port.to_string()])
            .env("ACTEON_RULES__DIRECTORY", self.path("etc/acteon/rules"));
        let folder = tempfile::tempdir().unwrap().keep();
        let mut server = Process::start(&server, &folder).unwrap();
        crate::harness::tls_provider();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = format!("http://127.0.0.1:{port}/ready");
        let answers = async || {
            let answer = client.get(&ready).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        server.until_ready(TIMEOUT, answers).await.unwrap();
        server
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_packages_are_installed_started_and_removed_and_leave_nothing() {
    let said = make(&["dist"]);
    let root = Root::new();
    root.dpkg("--install", &package(&said, ".deb"));
    let installed = root.path("usr/bin/acteon-server");
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&installed) < size(&binary()), "it is stripped");
    drop(root.start().await);

    let unit = fs::read_to_string(root.path("usr/lib/systemd/system/acteon.service")).unwrap();
    let start = "ExecStart=/usr/bin/acteon-server -c /etc/acteon/acteon.toml\n";
    assert!(unit.contains(start), "it starts what is installed");
    let mut judge = Command::new("systemd-analyze");
    judge
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(format!("--root={}", root.0.path().display()))
        .arg("acteon.service");
    let judged = ran(&mut judge);
    assert!(judged.stderr.is_empty(), "{judged:?}");

    root.dpkg("--purge", Path::new("acteon"));
    let database = root.path("var/lib/dpkg");
    let mut left = files(root.0.path());
    left.retain(|file| !file.starts_with(&database));
    assert!(left.is_empty(), "{left:?}");
    assert!(!root.path("etc/acteon").exists());

    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--file"])
        .arg(package(&said, ".tar.gz"))
        .current_dir(folder.path());
    ran(&mut tar);
    ran(Command::new(folder.path().join("bin/acteon-server")).arg("--version"));
    let licences = fs::read_to_string(folder.path().join("THIRD-PARTY-LICENSES.txt")).unwrap();
    for part in ["tokio 1.", "librdkafka", "The OpenSSL Project", "jemalloc"] {
        assert!(licences.contains(part), "{part}");
    }
    for file in [
        "LICENSE",
        "completions/_acteon-server",
        "config/acteon.toml",
        "examples/kafka/acteon.toml",
        "examples/config/full.toml",
        "systemd/acteon.service",
    ] {
        assert!(size(&folder.path().join(file)) > 0, "{file}");
    }
}

#[test]
fn what_make_install_puts_there_is_removed_by_make_uninstall() {
    let folder = tempfile::tempdir().unwrap();
    let into = format!("DESTDIR={}", folder.path().display());
    make(&["install", &into, "PREFIX=/opt/acteon"]);
    let mut found = files(folder.path());
    found.sort();
    let prefix = folder.path().join("opt/acteon");
    let expected = [
        "bin/acteon-server",
        "share/bash-completion/completions/acteon-server",
        "share/fish/vendor_completions.d/acteon-server.fish",
        "share/zsh/site-functions/_acteon-server",
    ];
    assert_eq!(found, expected.map(|file| prefix.join(file)));
    ran(Command::new(&found[0]).arg("--version"));
    let bash = fs::read_to_string(&found[1]).unwrap();
    assert!(bash.contains("complete -F"), "{bash}");
    make(&["uninstall", &into, "PREFIX=/opt/acteon"]);
    assert!(files(folder.path()).is_empty());
}
