//! State and audit in SQLite, called as the pipeline calls them, against the same rows written by a prepared statement in
//! one transaction for each batch. Both use the same tables, indexes and settings, and take turns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use acteon_backends_sqlite::{SqliteAudits, SqliteFiles, SqliteStates};
use acteon_core::audit::{AuditContext, AuditRecord, Audits};
use acteon_core::state::{
    Claim, Reservation, ReservationAnswer, ReservationEnd, Settlement, State, StateContext,
    StateKey, States, Token,
};
use acteon_core::{Audit, Embedded, Registry};
use anyhow::{Context, ensure};
use clap::Args;
use rusqlite::{Connection, params};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::report::{Report, median};

const BATCH: u64 = 256;
const LEASE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub(crate) struct Options {
    /// How many batches of 256 each run has.
    #[arg(long, default_value_t = 400)]
    batches: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = 5)]
    runs: u64,
    /// How many callers there are at once.
    #[arg(long, default_value_t = 4)]
    callers: u64,
    /// Whether a write is answered once the disk has it, or before.
    #[arg(long, default_value = "full")]
    synchronous: String,
}

/// The backends in one folder, and a plain connection to a separate file with the same tables.
struct Files {
    state: Arc<dyn State>,
    audit: Arc<dyn Audit>,
    bare: Connection,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare(options))
}

async fn compare(options: &Options) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let mut files = Files::open(folder.path(), &options.synchronous).await?;
    let mut report = Report::new("sqlite");
    let mut dedup = Vec::new();
    let mut audit = Vec::new();
    for run in 0..options.runs {
        let first = run * options.batches * BATCH;
        let bare = files.bare_dedup(options, first)?;
        let acteon = files.dedup(options, first).await?;
        dedup.push(acteon / bare);
        report.row(format!("dedup {run}: bare"), &[("actions/s", bare)]);
        report.row(format!("dedup {run}: acteon"), &[("actions/s", acteon)]);
        let bare = files.bare_audit(options, first)?;
        let acteon = files.audit(options, first).await?;
        audit.push(acteon / bare);
        report.row(format!("audit {run}: bare"), &[("records/s", bare)]);
        report.row(format!("audit {run}: acteon"), &[("records/s", acteon)]);
    }
    report.at_least("dedup / bare, median", median(dedup), 0.5);
    report.at_least("audit / bare, median", median(audit), 0.5);
    Ok(report)
}

/// Opens the file of a backend.
async fn opened(file: Option<Arc<dyn Embedded>>) -> anyhow::Result<()> {
    Ok(file.context("the backend has a file")?.open().await?)
}

impl Files {
    async fn open(folder: &Path, synchronous: &str) -> anyhow::Result<Self> {
        let mut states = Registry::<States>::default();
        let mut audits = Registry::<Audits>::default();
        states.register(SqliteStates::new(SqliteFiles::default()));
        audits.register(SqliteAudits::new(SqliteFiles::default()));
        let options = |path: &str| serde_json::json!({"path": path, "synchronous": synchronous});
        let context = || StateContext {
            folder: folder.to_owned(),
            ..StateContext::default()
        };
        let state = states.plan("sqlite", options("state.db"))?.build(context());
        let state = state.await?;
        let audit = audits.plan("sqlite", options("audit.db"))?;
        let audit = audit.build(AuditContext {
            folder: folder.to_owned(),
        });
        let audit = audit.await?;
        opened(state.embedded()).await?;
        opened(audit.embedded()).await?;
        // Its tables are created by a backend, which is closed again.
        let tables = states.plan("sqlite", options("bare.db"))?.build(context());
        let tables = tables.await?.embedded().context("the backend has a file")?;
        tables.open().await?;
        tables.close().await;
        let bare = Connection::open(folder.join("bare.db"))?;
        bare.pragma_update(None, "synchronous", synchronous)?;
        bare.pragma_update(None, "wal_autocheckpoint", 10_000)?;
        bare.pragma_update(None, "cache_size", -65_536)?;
        Ok(Self { state, audit, bare })
    }

    /// Each key is claimed and confirmed, batch by batch. Returns actions per second.
    async fn dedup(&self, options: &Options, first: u64) -> anyhow::Result<f64> {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..options.callers {
            let state = self.state.clone();
            let batches = (caller..options.batches).step_by(options.callers as usize);
            let batches: Vec<_> = batches.map(|batch| first + batch * BATCH).collect();
            callers.spawn(async move {
                for batch in batches {
                    claimed_and_confirmed(&*state, batch).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        Ok(rate(options, start))
    }

    fn bare_dedup(&mut self, options: &Options, first: u64) -> anyhow::Result<f64> {
        let start = Instant::now();
        for batch in 0..options.batches {
            let keys = keys(first + batch * BATCH).map(|number| key(number).to_vec());
            let keys: Vec<_> = keys.collect();
            let transaction = self.bare.transaction()?;
            {
                let insert = "INSERT INTO holds (k, token, until) VALUES (?1, ?2, ?3)";
                let mut insert = transaction.prepare_cached(insert)?;
                for key in &keys {
                    insert.execute((key, key, 1))?;
                }
            }
            transaction.commit()?;
            let transaction = self.bare.transaction()?;
            {
                let confirm = "UPDATE holds SET token = NULL, until = ?1 WHERE k = ?2";
                let mut confirm = transaction.prepare_cached(confirm)?;
                for key in &keys {
                    confirm.execute((2, key))?;
                }
            }
            transaction.commit()?;
        }
        Ok(rate(options, start))
    }

    /// Appends records, batch by batch. Returns records per second.
    async fn audit(&self, options: &Options, first: u64) -> anyhow::Result<f64> {
        let batches = 0..options.batches;
        let batches = batches.map(|batch| records(first + batch * BATCH));
        let batches: Vec<_> = batches.collect();
        let start = Instant::now();
        for batch in batches {
            self.audit.append(&batch).await?;
        }
        Ok(rate(options, start))
    }

    fn bare_audit(&mut self, options: &Options, first: u64) -> anyhow::Result<f64> {
        let batches = 0..options.batches;
        let batches = batches.map(|batch| records(first + batch * BATCH));
        let batches: Vec<_> = batches.collect();
        let start = Instant::now();
        for batch in batches {
            let transaction = self.bare.transaction()?;
            insert_records(&transaction, &batch)?;
            transaction.commit()?;
        }
        Ok(rate(options, start))
    }
}

fn rate(options: &Options, start: Instant) -> f64 {
    (options.batches * BATCH) as f64 / start.elapsed().as_secs_f64()
}

fn keys(first: u64) -> impl Iterator<Item = u64> {
    first..first + BATCH
}

/// A key that is spread like a hash.
fn key(number: u64) -> [u8; 16] {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    spread.to_be_bytes()
}

async fn claimed_and_confirmed(state: &dyn State, first: u64) -> anyhow::Result<()> {
    let claim = |number| Claim {
        key: StateKey::new("shop", "acme", "once", &format!("order-{number}")),
        ttl: TTL,
    };
    let reservation = |number| Reservation {
        token: Token::random(),
        claims: [claim(number)].into(),
        ..Reservation::default()
    };
    let reservations: Vec<_> = keys(first).map(reservation).collect();
    let answers = state.reserve(&reservations, LEASE).await?;
    let granted = |answer: &ReservationAnswer| matches!(answer, ReservationAnswer::Granted(_));
    ensure!(answers.iter().all(granted), "a new key was refused");
    let settlement = |held: Reservation| Settlement::of(held.into(), ReservationEnd::Confirm);
    let settlements: Vec<_> = reservations.into_iter().map(settlement).collect();
    state.settle(&settlements).await?;
    Ok(())
}

/// Records of different tenants, as a server with some rules writes them.
fn records(first: u64) -> Vec<Arc<AuditRecord>> {
    let record = |number: u64| {
        let mut record = acteon_testkit::audit_record(number as u32);
        record.subject.tenant = format!("tenant-{}", number % 50).into();
        record.decision.matched_rule = number.is_multiple_of(4).then(|| "once".into());
        record.expires_at = Some(record.completed_at);
        Arc::new(record)
    };
    keys(first).map(record).collect()
}

/// The columns are written as they are. Encoding the rest of a record is a part of what is measured.
fn insert_records(connection: &Connection, records: &[Arc<AuditRecord>]) -> anyhow::Result<()> {
    let insert = "INSERT INTO audit (id, dispatched_at, expires_at, action_id, namespace, tenant, provider, \
                  action_type, outcome, verdict, matched_rule, caller_id, body, payload) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let mut insert = connection.prepare_cached(insert)?;
    for record in records {
        let subject = &record.subject;
        insert.execute(params![
            record.id.as_bytes(),
            record.dispatched_at.as_microsecond() * 1000,
            record.expires_at.map(|at| at.as_microsecond() * 1000),
            subject.action_id.as_str(),
            subject.namespace.as_str(),
            subject.tenant.as_str(),
            subject.provider.as_str(),
            subject.action_type.as_str(),
            record.outcome.name(),
            record.decision.verdict.as_str(),
            record.decision.matched_rule.as_deref(),
            record.caller.id.as_deref(),
            BODY,
            "{\"n\":1}",
        ])?;
    }
    Ok(())
}

/// As long as the body of these records.
const BODY: &str = r#"{"v":1,"completed_at":"2026-01-01T00:00:01.005Z","trace_id":null,"details":null,"rules_generation":1,"rules_hash":"0000000000000000","outcome":{"status":"success"},"metadata":{},"auth_method":"anonymous","source":"http","attempts":[]}"#;
