//! Fetches Java archives from Maven Central with their dependencies, and runs classes from them.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::cache;

/// `group:artifact:version`.
pub type Coordinates = &'static str;

/// The folder of archives `name`, fetched if it is not in the cache.
pub fn archives(name: &str, wanted: &[Coordinates]) -> anyhow::Result<PathBuf> {
    cache::fetched(name, |folder| {
        let pom = tempfile::tempdir()?;
        fs::write(pom.path().join("pom.xml"), project(wanted)?)?;
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "dependency:copy-dependencies"])
            .arg("-DincludeScope=runtime")
            .arg(argument("-DoutputDirectory=", folder))
            .current_dir(pom.path());
        run(&mut maven)
    })
}

/// Flags that make a short-lived Java program start fast.
pub const SHORT_LIVED: &[&str] = &["-Xmx256m", "-XX:TieredStopAtLevel=1"];

/// A command that runs `class` with all archives of `folder`.
pub fn class(folder: &Path, flags: &[&str], class: &str) -> Command {
    let mut java = Command::new("java");
    java.args(flags)
        .args(["-XX:+UseSerialGC", "-cp"])
        .arg(folder.join("*"))
        .arg(class);
    java
}

/// Runs a command to its end; on failure its output is in the error.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| missing(&program, error))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "`{program}` failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&text)
        );
    }
    Ok(())
}

fn missing(program: &str, error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow::anyhow!(
            "`{program}` is not installed: `.ci/tools test` lists what the tests need and how to install it"
        );
    }
    anyhow::Error::new(error).context(format!("cannot run `{program}`"))
}

fn argument(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}

fn project(wanted: &[Coordinates]) -> anyhow::Result<String> {
    let mut dependencies = String::new();
    for coordinates in wanted {
        let mut parts = coordinates.split(':');
        let mut next = || {
            parts
                .next()
                .context("coordinates are group:artifact:version")
        };
        dependencies.push_str(&format!(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>",
            next()?,
            next()?,
            next()?,
        ));
    }
    Ok(format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>archives</artifactId>\
         <version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_missing_program_says_what_to_install() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains(".ci/tools test"), "{error}");
    }

    #[test]
    fn the_output_of_a_failed_command_is_in_the_error() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
