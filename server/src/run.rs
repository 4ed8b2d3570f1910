//! The life of the server: everything starts here, and is joined here. The order of the end is the way of an action:
//! first nothing new comes in, then what is in flight finishes, then what was recorded is written.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Admission, Shutdown, Source};
use acteon_ingest_http::HttpSource;
use acteon_pipeline::AuditTrail;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::compose::Server;
use crate::events::{self, InFlight};
use crate::listen::Limits;
use crate::metrics::Metrics;
use crate::rest::Listener;
use crate::signals::{Reloads, Signals};
use crate::{fullness, listen, reload};

/// How often the metrics library tidies up what nobody has asked for.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// After the time to drain: how long callers may take to be answered, and the last records to be written.
const LAST_ANSWERS: Duration = Duration::from_millis(1500);
/// How long what has been told to give up may take to do so.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All it had taken came to its end.
    Whole,
    /// Something was cut off. The log says how much.
    CutOff,
}

impl Server {
    /// Runs until a signal comes, then drains. A second signal ends at once, whatever is waited for.
    pub async fn run(self, mut signals: Signals) -> Ended {
        self.announce();
        let mut life = Life::begin(self, signals.take_reloads());
        signals.next().await;
        tokio::select! {
            ended = life.drain() => ended,
            () = signals.next() => {
                events::second_signal(life.in_flight());
                Ended::CutOff
            }
        }
    }
}

/// A running server.
struct Life {
    tasks: JoinSet<()>,
    shutdown: Shutdown,
    /// Cancelled when nothing is waited for any longer, not even for records to be written.
    cut_off: CancellationToken,
    limit: Duration,
    ledger: Ledger,
}

/// Where the server looks up what it has left unfinished.
struct Ledger {
    admission: Arc<Admission>,
    http: Arc<HttpSource>,
    trail: Option<Arc<AuditTrail>>,
}

impl Life {
    fn begin(server: Server, reloads: Reloads) -> Self {
        let shutdown = Shutdown {
            stop: server.assembly.stop.clone(),
            abandon: CancellationToken::new(),
        };
        let ledger = Ledger {
            admission: server.assembly.admission.clone(),
            http: server.assembly.http.clone(),
            trail: server.assembly.trail.clone(),
        };
        let limit = server.assembly.server.shutdown_timeout;
        let cut_off = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(live(server, reloads, shutdown.clone(), cut_off.clone()));
        Self {
            tasks,
            shutdown,
            cut_off,
            limit,
            ledger,
        }
    }

    async fn drain(&mut self) -> Ended {
        events::draining(self.limit, self.in_flight());
        self.shutdown.stop.cancel();
        let in_time = timeout(self.limit, self.tasks.join_next()).await.is_ok();
        let ended = match in_time {
            true => Ended::Whole,
            false => self.give_up().await,
        };
        let records_lost = self.ledger.trail.as_ref().map_or(0, |trail| trail.lost());
        events::ended(self.in_flight(), records_lost);
        match records_lost {
            0 => ended,
            _ => Ended::CutOff,
        }
    }

    /// Ends the patience step by step: first callers are told, then nothing is waited for.
    async fn give_up(&mut self) -> Ended {
        let unfinished = self.in_flight();
        events::deadline_passed(unfinished);
        self.shutdown.abandon.cancel();
        if timeout(LAST_ANSWERS, self.tasks.join_next()).await.is_ok() {
            return match unfinished {
                InFlight {
                    of_callers: 0,
                    of_brokers: 0,
                } => Ended::Whole,
                _ => Ended::CutOff,
            };
        }
        self.cut_off.cancel();
        if timeout(LAST_STEPS, self.tasks.join_next()).await.is_err() {
            events::hangs();
        }
        Ended::CutOff
    }

    fn in_flight(&self) -> InFlight {
        let of_callers = self.ledger.http.actions_in_flight();
        let all = self.ledger.admission.actions_in_flight();
        InFlight {
            of_callers,
            of_brokers: all.saturating_sub(of_callers),
        }
    }
}

/// All that runs, from start to end.
async fn live(server: Server, reloads: Reloads, shutdown: Shutdown, cut_off: CancellationToken) {
    let Server {
        listener,
        admin_listener,
        assembly: server,
    } = server;
    // What providers have not finished when the time is over goes back, and so its callers are answered.
    let pipeline_closing = shutdown.abandon.child_token();
    let trail_closing = CancellationToken::new();
    let (mut front, mut back, mut aside) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    back.spawn(server.pipeline.clone().run(pipeline_closing.clone()));
    if let Some(trail) = &server.trail {
        aside.spawn(trail.clone().run(trail_closing.clone(), cut_off));
    }
    aside.spawn(tidy(server.metrics.clone(), trail_closing.clone()));
    aside.spawn(fullness::watch(server.state.clone(), trail_closing.clone()));
    let (rules, follow, stop) = (server.rules.clone(), server.follow, trail_closing.clone());
    aside.spawn(async move { rules.watch(follow, stop).await });
    let api = server.routers.api().clone();
    front.spawn(reload::follow(api, reloads, shutdown.stop.clone()));
    for source in &server.sources {
        front.spawn(consume(source.clone(), shutdown.clone()));
    }
    let admin = if admin_listener.is_some() {
        Listener::Own
    } else {
        Listener::Shared
    };
    let limits = Limits::of(&server.server);
    let router = server.routers.of_server(admin);
    let listening = listen::serve(listener, router, limits, shutdown.clone());
    front.spawn(listening);
    if let Some(listener) = admin_listener {
        let router = server.routers.of_admin();
        front.spawn(listen::serve(listener, router, limits, shutdown));
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

async fn tidy(metrics: Metrics, closing: CancellationToken) {
    let mut ticks = interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = closing.cancelled() => return,
        }
    }
}
