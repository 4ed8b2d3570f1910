//! The one thread that writes a file. It takes all waiting calls into one transaction and answers them after its commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::Error;
use crate::events::{FileEvents, Outage};
use crate::lock::FileLock;

/// The calls that wait. More callers wait for room.
const WAITING_MAX: usize = 1024;
/// The time without a failure after which an outage is over. Retries are at most 5 s apart.
const OUTAGE_OVER: Duration = Duration::from_secs(6);
/// The calls of one transaction.
const CALLS_MAX: usize = 256;

/// The thread that writes.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: Arc<Health>,
}

enum Job {
    Call(Box<dyn Write>),
    Close,
}

/// A call on its way through a transaction.
trait Write: Send {
    /// Does the work. An error is one that concerns the whole file.
    fn work(&mut self, connection: &Connection) -> Result<(), Error>;
    /// Answers after the commit, or after what prevented it.
    fn answer(self: Box<Self>, prevented: Option<&Error>);
}

struct Call<W, T> {
    work: Option<W>,
    result: Result<T, Error>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<W, T> Write for Call<W, T>
where
    W: FnOnce(&Connection) -> Result<T, Error> + Send,
    T: Send,
{
    fn work(&mut self, connection: &Connection) -> Result<(), Error> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        execute(connection, "SAVEPOINT call")?;
        match work(connection) {
            Err(error) if !error.is_of_one_call() => return Err(error),
            Err(error) => {
                execute(connection, "ROLLBACK TO call")?;
                self.result = Err(error);
            }
            done => self.result = done,
        }
        execute(connection, "RELEASE call")
    }

    fn answer(self: Box<Self>, prevented: Option<&Error>) {
        let result = match prevented {
            None => self.result,
            Some(error) => Err(error.clone()),
        };
        // Fails if the caller no longer waits. The work is done anyway.
        let _ = self.answer.send(result);
    }
}

impl Writer {
    /// Starts the thread. It keeps the lock until the connection is closed.
    pub(crate) fn start(
        connection: Connection,
        lock: FileLock,
        events: FileEvents,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let health = Arc::new(Health::new(events));
        let thread = WriterThread {
            connection,
            waiting,
            health: health.clone(),
        };
        let run = move || {
            thread.run();
            drop(lock);
        };
        let thread = thread::Builder::new().name("sqlite".into()).spawn(run)?;
        Ok(Self {
            jobs,
            thread: Mutex::new(Some(thread)),
            health,
        })
    }

    /// Does `work` in a transaction that other calls share. If the caller stops waiting, it is done anyway.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            work: Some(work),
            result: Err(Error::Closed),
            answer,
        };
        let sent = self.jobs.send(Job::Call(Box::new(call))).await;
        sent.map_err(|_| Error::Closed)?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// The last failure of a transaction, unless they have succeeded for a while since.
    pub(crate) fn failure(&self) -> Option<Error> {
        let failure = self.health.failure.lock();
        failure.as_ref().map(|(error, _)| error.clone())
    }

    /// Finishes the calls that wait, copies the log into the file and closes it.
    pub(crate) async fn close(&self) {
        // Fails if it is closed.
        let _ = self.jobs.send(Job::Close).await;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The thread does not panic.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

/// Whether writes succeed. Changes are reported.
struct Health {
    /// The last failure, and when it was.
    failure: Mutex<Option<(Error, Instant)>>,
    events: FileEvents,
}

impl Health {
    fn new(events: FileEvents) -> Self {
        Self {
            failure: Mutex::default(),
            events,
        }
    }

    /// On a disk that is almost full, small transactions succeed between large ones that fail.
    fn record(&self, result: Result<(), &Error>) {
        let mut failure = self.failure.lock();
        match result {
            Ok(()) => {
                let is_over = |(_, at): &(Error, Instant)| at.elapsed() >= OUTAGE_OVER;
                if failure.as_ref().is_some_and(is_over) {
                    *failure = None;
                    self.events.writes_succeed();
                }
            }
            Err(error) => {
                let outage = match *failure {
                    Some(_) => Outage::Continues,
                    None => Outage::Begins,
                };
                *failure = Some((error.clone(), Instant::now()));
                self.events.write_failed(error, outage);
            }
        }
        self.events.written();
    }
}

struct WriterThread {
    connection: Connection,
    waiting: mpsc::Receiver<Job>,
    health: Arc<Health>,
}

impl WriterThread {
    /// Works until it is closed, or no caller is left.
    fn run(mut self) {
        let mut jobs = Vec::with_capacity(CALLS_MAX);
        let mut open = true;
        while open && self.waiting.blocking_recv_many(&mut jobs, CALLS_MAX) > 0 {
            let mut calls = Vec::with_capacity(jobs.len());
            for job in jobs.drain(..) {
                match job {
                    Job::Call(call) if open => calls.push(call),
                    // Its caller gets an error.
                    Job::Call(_) => {}
                    Job::Close => open = false,
                }
            }
            self.commit(calls);
        }
        self.waiting.close();
        self.close();
    }

    fn commit(&self, mut calls: Vec<Box<dyn Write>>) {
        if calls.is_empty() {
            return;
        }
        let work = AssertUnwindSafe(|| transact(&self.connection, &mut calls));
        let committed = catch_unwind(work).unwrap_or(Err(Error::Closed));
        // A full disk may have rolled back the transaction already.
        if committed.is_err() && !self.connection.is_autocommit() {
            // There is nothing left to do if this fails: the next transaction fails, too.
            let _ = execute(&self.connection, "ROLLBACK");
        }
        let prevented = committed.as_ref().err();
        self.health.record(prevented.map_or(Ok(()), Err));
        for call in calls {
            call.answer(prevented);
        }
    }

    /// Empties the log. A reader that is still at work prevents it; the next start does it then.
    fn close(self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let emptied = self.connection.query_row(checkpoint, [], |_| Ok(()));
        let closed = self.connection.close().map_err(|(_, error)| error);
        if let Err(error) = emptied.and(closed) {
            self.health.events.not_closed(&error);
        }
    }
}

fn transact(connection: &Connection, calls: &mut [Box<dyn Write>]) -> Result<(), Error> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for call in calls {
        call.work(connection)?;
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
