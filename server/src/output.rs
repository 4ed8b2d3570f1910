//! The output of commands. Nothing here panics, even if standard output or standard error cannot be written.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process;

/// The exit status of a process ended by SIGPIPE, as usual for a command whose output pipe is closed.
const BROKEN_PIPE: i32 = 128 + 13;

/// Prints the result of a command on standard output. If that fails, the process ends with an error status.
pub(crate) fn print(text: &str) {
    let Err(error) = write_line(&mut io::stdout().lock(), text) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(BROKEN_PIPE);
    }
    print_error(&format!("cannot write to standard output: {error}"));
    process::exit(1);
}

/// Prints an error on standard error. If that fails, the exit status alone shows the error.
pub(crate) fn print_error(text: &str) {
    let _ = write_line(&mut io::stderr().lock(), text);
}

/// Prints `text` if standard output is a terminal. Programs read the log instead.
pub(crate) fn print_on_terminal(text: &str) {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let _ = write_line(&mut out, text);
    }
}

fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{text}")?;
    out.flush()
}
