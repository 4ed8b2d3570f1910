//! Ends the process at a second signal even if the server no longer hears it, because something keeps its threads.

use std::io;
use std::thread;
use std::time::Duration;

use acteon_server::Signals;

use crate::CUT_OFF;

/// How long the server may take to end at a second signal by itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// Listens for signals on a thread that does nothing else.
pub(crate) fn start() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _of_this_runtime = runtime.enter();
        Signals::of_process()?
    };
    let wait = move || {
        runtime.block_on(async {
            signals.next().await;
            signals.next().await;
            tokio::time::sleep(PATIENCE).await;
            std::process::exit(CUT_OFF.into());
        });
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}
