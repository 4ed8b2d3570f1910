//! Ends the process at a second signal even if something blocks the server's threads, so that it cannot react.

use std::io;
use std::thread;
use std::time::Duration;

use acteon_server::Signals;

use crate::CUT_OFF;

/// The time for the server to end by itself at a second signal.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens for signals on a thread that does nothing else.
pub(crate) fn start() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::of_process()?
    };
    let wait = move || {
        runtime.block_on(async {
            signals.next().await;
            signals.next().await;
            tokio::time::sleep(EXIT_TIMEOUT).await;
            std::process::exit(CUT_OFF.into());
        });
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}
