//! Starts the tasks of the server, and joins them at shutdown in the order of an action's path: the listeners and
//! sources stop, actions in flight finish, records are written.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Shutdown, Source};
use acteon_ingest_http::HttpSource;
use acteon_pipeline::AuditTrail;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::assembly::{Server, WatchedRules};
use crate::events::{self, InFlight};
use crate::listen::ConnectionLimits;
use crate::metrics::Metrics;
use crate::rest::AdminListener;
use crate::signals::{Reloads, Signals};
use crate::{files, fullness, listen, reload};

/// How often the metrics library discards samples that were not rendered.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
/// The time after the time to drain for callers to be answered and the last records to be written.
const ABANDON_TIMEOUT: Duration = Duration::from_millis(1500);
/// The time for tasks to end after they are cut off.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// All accepted actions were settled, and all records written.
    Complete,
    /// Work was cut off. The log says how much.
    CutOff,
}

impl Server {
    /// Runs until a signal, then drains. A second signal ends at once.
    pub async fn run(self, mut signals: Signals) -> ShutdownOutcome {
        self.announce();
        let mut running = RunningServer::start(self, signals.take_reloads());
        signals.next().await;
        tokio::select! {
            outcome = running.drain() => outcome,
            () = signals.next() => {
                events::second_signal(running.in_flight());
                ShutdownOutcome::CutOff
            }
        }
    }
}

/// A running server.
struct RunningServer {
    tasks: JoinSet<()>,
    shutdown: Shutdown,
    /// Cancelled when nothing may take longer, not even the writing of records.
    cut_off: CancellationToken,
    limit: Duration,
    pending: PendingWork,
}

/// Counts the work in flight.
struct PendingWork {
    admission: Arc<Admission>,
    http: Arc<HttpSource>,
    trail: Option<Arc<AuditTrail>>,
}

impl PendingWork {
    fn has_unwritten_records(&self) -> bool {
        let trail = self.trail.as_ref();
        trail.is_some_and(|trail| trail.has_unwritten())
    }
}

impl RunningServer {
    fn start(server: Server, reloads: Reloads) -> Self {
        let shutdown = Shutdown {
            stop: server.assembly.stop.clone(),
            abandon: CancellationToken::new(),
        };
        let pending = PendingWork {
            admission: server.assembly.admission.clone(),
            http: server.assembly.http.clone(),
            trail: server.assembly.trail.clone(),
        };
        let limit = server.assembly.listeners.server.shutdown_timeout;
        let cut_off = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(run_tasks(
            server,
            reloads,
            shutdown.clone(),
            cut_off.clone(),
        ));
        Self {
            tasks,
            shutdown,
            cut_off,
            limit,
            pending,
        }
    }

    async fn drain(&mut self) -> ShutdownOutcome {
        events::draining(self.limit, self.in_flight());
        self.shutdown.stop.cancel();
        let in_time = timeout(self.limit, self.tasks.join_next()).await.is_ok();
        let outcome = match in_time {
            true => ShutdownOutcome::Complete,
            false => self.give_up().await,
        };
        let records_lost = self.pending.trail.as_ref().map_or(0, |trail| trail.lost());
        events::ended(self.in_flight(), records_lost);
        match records_lost {
            0 => outcome,
            _ => ShutdownOutcome::CutOff,
        }
    }

    /// Gives up in two steps: first callers are answered, then everything is cut off.
    async fn give_up(&mut self) -> ShutdownOutcome {
        let unfinished = self.in_flight();
        events::deadline_passed(unfinished);
        self.shutdown.abandon.cancel();
        if timeout(ABANDON_TIMEOUT, self.tasks.join_next())
            .await
            .is_ok()
        {
            return unfinished.outcome();
        }
        self.cut_off.cancel();
        match timeout(CUT_OFF_TIMEOUT, self.tasks.join_next()).await {
            // Records that were not written are counted as lost.
            Ok(_) => unfinished.outcome(),
            Err(_) => {
                events::hangs();
                match self.pending.has_unwritten_records() {
                    true => ShutdownOutcome::CutOff,
                    false => unfinished.outcome(),
                }
            }
        }
    }

    fn in_flight(&self) -> InFlight {
        let from_http = self.pending.http.actions_in_flight();
        let all = self.pending.admission.actions_in_flight();
        InFlight {
            from_http,
            from_brokers: all.saturating_sub(from_http),
        }
    }
}

impl InFlight {
    /// How the server ends if this was unfinished when the time to drain was over.
    fn outcome(self) -> ShutdownOutcome {
        match self {
            Self {
                from_http: 0,
                from_brokers: 0,
            } => ShutdownOutcome::Complete,
            _ => ShutdownOutcome::CutOff,
        }
    }
}

/// Runs all tasks of the server until they have ended.
async fn run_tasks(
    server: Server,
    reloads: Reloads,
    shutdown: Shutdown,
    cut_off: CancellationToken,
) {
    let Server {
        listener,
        admin_listener,
        assembly: server,
    } = server;
    // At the end of the time to drain, unfinished actions return to their source, which answers their callers.
    let pipeline_closing = shutdown.abandon.child_token();
    let background_closing = CancellationToken::new();
    let mut intake = JoinSet::new();
    let mut pipeline = JoinSet::new();
    let mut background = JoinSet::new();
    pipeline.spawn(server.pipeline.clone().run(pipeline_closing.clone()));
    if let Some(trail) = &server.trail {
        background.spawn(trail.clone().run(background_closing.clone(), cut_off));
    }
    background.spawn(run_upkeep(
        server.metrics.clone(),
        background_closing.clone(),
    ));
    background.spawn(fullness::watch(
        server.backends.state.clone(),
        background_closing.clone(),
    ));
    let stop = background_closing.clone();
    let WatchedRules { rules, follow } = server.rules;
    background.spawn(async move { rules.watch(follow, stop).await });
    let api = server.routers.api().clone();
    intake.spawn(reload::follow(api, reloads, shutdown.stop.clone()));
    for source in &server.sources {
        intake.spawn(consume(source.clone(), shutdown.clone()));
    }
    let admin = if admin_listener.is_some() {
        AdminListener::Own
    } else {
        AdminListener::Shared
    };
    let limits = ConnectionLimits::of(&server.listeners.server);
    let router = server.routers.of_server(admin);
    let listening = listen::serve(listener, router, limits, shutdown.clone());
    intake.spawn(listening);
    if let Some(listener) = admin_listener {
        let router = server.routers.of_admin();
        intake.spawn(listen::serve(listener, router, limits, shutdown));
    }
    while intake.join_next().await.is_some() {}
    server.routers.drain().await;
    tokio::select! {
        () = server.pipeline.finish_due_work() => {}
        () = pipeline_closing.cancelled() => {}
    }
    pipeline_closing.cancel();
    while pipeline.join_next().await.is_some() {}
    background_closing.cancel();
    while background.join_next().await.is_some() {}
    files::close(&server.backends.files).await;
}

async fn consume(source: Arc<dyn Source>, shutdown: Shutdown) {
    if let Err(error) = source.run(shutdown).await {
        events::source_ended(&error);
    }
}

async fn run_upkeep(metrics: Metrics, closing: CancellationToken) {
    let mut ticks = interval(UPKEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = closing.cancelled() => return,
        }
    }
}
