//! SIGHUP: reloads the rules, as the API does. Any other change of the configuration needs a restart.

use acteon_admin_api::{Access, AdminApi};
use acteon_core::{Caller, Scope};
use tokio_util::sync::CancellationToken;

use crate::events;
use crate::signals::Reloads;

/// The caller named in the audit trail.
const CALLER: &str = "SIGHUP";

/// Reloads at each signal, until `stop`.
pub(crate) async fn follow(api: AdminApi, mut reloads: Reloads, stop: CancellationToken) {
    let access = Access {
        scope: Scope::everything(),
        caller: Caller::source(CALLER.into()),
    };
    loop {
        tokio::select! {
            () = reloads.next() => {}
            () = stop.cancelled() => return,
        }
        match api.reload(&access, None).await {
            Ok(reloaded) => events::reloaded(reloaded.rules, reloaded.generation),
            Err(error) => events::not_reloaded(&error),
        }
    }
}
