//! The life of the server: everything starts here, and is joined here. The order of the end is the way of an action:
//! first nothing new comes in, then what is in flight finishes, then what was recorded is written.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Shutdown, Source};
use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::compose::Server;
use crate::rest::Listener;
use crate::signals::Signals;
use crate::{events, fullness, listen};

/// How often the metrics library tidies up what nobody has asked for.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// How long the records of the last actions may take to be written after the time to drain is over.
const FLUSH_GRACE: Duration = Duration::from_secs(1);

/// The server was told twice to end.
#[derive(Debug, Error)]
#[error("ended by a second signal; what was in flight comes back from its source")]
pub struct EndedAtOnce;

impl Server {
    /// Runs until a signal comes, then drains. A second signal ends at once.
    ///
    /// # Errors
    /// [`EndedAtOnce`].
    pub async fn run(self, mut signals: Signals) -> Result<(), EndedAtOnce> {
        self.announce();
        let shutdown = Shutdown {
            stop: self.stop.clone(),
            abandon: CancellationToken::new(),
        };
        let (limit, admission) = (self.shutdown_timeout, self.admission.clone());
        let (mut life, cut_off) = (JoinSet::new(), CancellationToken::new());
        life.spawn(live(self, shutdown.clone(), cut_off.clone()));
        signals.next().await;
        events::draining(limit, admission.actions_in_flight());
        shutdown.stop.cancel();
        tokio::select! {
            _ = life.join_next() => {}
            () = abandon_after(limit, &admission, &shutdown.abandon) => {
                cut_off.cancel();
                life.join_next().await;
            }
            () = signals.next() => {
                events::second_signal();
                return Err(EndedAtOnce);
            }
        }
        events::ended(admission.actions_in_flight());
        Ok(())
    }
}

/// Ends the patience with what is in flight, and waits a moment for its records to be written.
async fn abandon_after(limit: Duration, admission: &Admission, abandon: &CancellationToken) {
    sleep(limit).await;
    events::deadline_passed(admission.actions_in_flight());
    abandon.cancel();
    sleep(FLUSH_GRACE).await;
}

/// All that runs, from start to end.
async fn live(server: Server, shutdown: Shutdown, cut_off: CancellationToken) {
    let (pipeline_closing, trail_closing) = (CancellationToken::new(), CancellationToken::new());
    let (mut front, mut back, mut aside) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    back.spawn(server.pipeline.clone().run(pipeline_closing.clone()));
    if let Some(trail) = &server.trail {
        aside.spawn(trail.clone().run(trail_closing.clone(), cut_off));
    }
    aside.spawn(tidy(server.metrics.clone(), trail_closing.clone()));
    aside.spawn(fullness::watch(server.state.clone(), trail_closing.clone()));
    let (rules, follow, stop) = (server.rules.clone(), server.follow, trail_closing.clone());
    aside.spawn(async move { rules.watch(follow, stop).await });
    for source in &server.sources {
        front.spawn(consume(source.clone(), shutdown.clone()));
    }
    let Shutdown { stop, abandon } = shutdown;
    let admin = if server.admin_listener.is_some() {
        Listener::Own
    } else {
        Listener::Shared
    };
    let router = server.routers.of_server(admin);
    front.spawn(listen::serve(
        server.listener,
        router,
        stop.clone(),
        abandon.clone(),
    ));
    if let Some(listener) = server.admin_listener {
        front.spawn(listen::serve(
            listener,
            server.routers.of_admin(),
            stop,
            abandon,
        ));
    }
    while front.join_next().await.is_some() {}
    server.routers.drain().await;
    pipeline_closing.cancel();
    while back.join_next().await.is_some() {}
    trail_closing.cancel();
    while aside.join_next().await.is_some() {}
}

async fn consume(source: Arc<dyn Source>, shutdown: Shutdown) {
    if let Err(error) = source.run(shutdown).await {
        events::source_ended(&error);
    }
}

async fn tidy(metrics: PrometheusHandle, closing: CancellationToken) {
    let mut ticks = interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = closing.cancelled() => return,
        }
    }
}
