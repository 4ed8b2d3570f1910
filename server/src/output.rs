//! What a command tells whoever called it. Nothing here panics, whatever standard output and standard error are.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process;

/// As if a signal had ended the process: who writes to a pipe that nobody reads is told so by SIGPIPE.
const NOBODY_READS: i32 = 128 + 13;

/// Answers a command on standard output. Where that cannot be, the command has failed and the process ends.
pub(crate) fn say(text: &str) {
    let Err(error) = write_line(&mut io::stdout().lock(), text) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(NOBODY_READS);
    }
    complain(&format!("cannot write to standard output: {error}"));
    process::exit(1);
}

/// Says on standard error what is wrong. Where that cannot be, the exit status alone says so.
pub(crate) fn complain(text: &str) {
    let _ = write_line(&mut io::stderr().lock(), text);
}

/// Shows people where things are. Programs read the log.
pub(crate) fn greet(text: &str) {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let _ = write_line(&mut out, text);
    }
}

fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{text}")?;
    out.flush()
}
