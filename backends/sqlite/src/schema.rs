//! The tables and their versions. A file with newer tables is accepted if they say that this binary can use them, so
//! that the servers of a rolling upgrade share a file one after the other.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use thiserror::Error;

/// A step from one version of the tables to the next.
struct Migration {
    version: u32,
    /// The lowest version that a binary must know to use the tables after this step.
    min_binary: u32,
    sql: &'static str,
}

/// All steps, in order. A released one never changes.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        min_binary: 1,
        sql: include_str!("schema/v1.sql"),
    },
    // The tables of the audit trail stay as they are.
    Migration {
        version: 2,
        min_binary: 1,
        sql: include_str!("schema/v2.sql"),
    },
    // All earlier tables stay as they are.
    Migration {
        version: 3,
        min_binary: 1,
        sql: include_str!("schema/v3.sql"),
    },
];

/// The newest version that this binary knows.
pub(crate) const NEWEST: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// In the head of the file: "Actn".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Actn");

/// Why the tables cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SchemaError {
    /// The file belongs to another program.
    #[error("the file belongs to another program")]
    Foreign,
    /// The tables are too new.
    #[error(
        "its tables have version {version}, for which this binary is too old: it knows version {NEWEST}, and at least \
         {min_binary} is needed"
    )]
    Newer {
        /// The version of the tables.
        version: u32,
        /// What a binary must know.
        min_binary: u32,
    },
    /// SQLite failed.
    #[error("its tables cannot be read or upgraded")]
    Sqlite(#[from] rusqlite::Error),
}

/// Creates the tables, or upgrades them in one transaction. Returns their version.
pub(crate) fn migrate(connection: &mut Connection) -> Result<u32, SchemaError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (present, min_binary) = present(&transaction)?;
    if min_binary > NEWEST {
        return Err(SchemaError::Newer {
            version: present,
            min_binary,
        });
    }
    for step in MIGRATIONS.iter().filter(|step| step.version > present) {
        transaction.execute_batch(step.sql)?;
        transaction.execute("DELETE FROM schema", [])?;
        transaction.execute(
            "INSERT INTO schema (version, min_binary, probed_at) VALUES (?1, ?2, 0)",
            (step.version, step.min_binary),
        )?;
    }
    transaction.commit()?;
    Ok(present.max(NEWEST))
}

/// The version of the tables and what a binary must know. Zero in an empty file, which becomes ours.
fn present(transaction: &Transaction<'_>) -> Result<(u32, u32), SchemaError> {
    let id: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id == APPLICATION_ID {
        let schema = "SELECT version, min_binary FROM schema";
        return Ok(transaction.query_row(schema, [], |row| Ok((row.get(0)?, row.get(1)?)))?);
    }
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: u32 = transaction.query_row(tables, [], |row| row.get(0))?;
    if id != 0 || tables > 0 {
        return Err(SchemaError::Foreign);
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok((0, 0))
}
