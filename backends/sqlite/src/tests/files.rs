//! Which files are opened, by whom, and how they are left.

use std::fs;

use acteon_core::audit::{Audit, AuditError, AuditQuery};
use acteon_core::scope::Scope;
use acteon_core::state::{SilenceAnswer, SilenceWrite, StateContext};
use acteon_testkit::{audit_record, silence};
use rusqlite::Connection;
use serde_json::json;

use super::{Sqlite, built, close, open};
use crate::config::Synchronous;
use crate::connection::is_safe;
use crate::files::SqliteFiles;
use crate::schema::NEWEST;

/// Why the file cannot be opened.
async fn refusal(sqlite: &Sqlite) -> String {
    let audit = built(sqlite.folder.path(), json!({})).await.unwrap();
    let error = open(&*audit).await.expect_err("the file is refused");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text.replace(&sqlite.path().display().to_string(), "acteon.db")
}

async fn total(audit: &dyn Audit) -> u64 {
    let all = AuditQuery::newest(Scope::everything(), 1);
    audit.query(&all).await.unwrap().total
}

#[tokio::test]
async fn a_second_server_is_refused_with_the_name_of_the_first() {
    let sqlite = Sqlite::default();
    let first = sqlite.open_audit().await;
    let holder = std::process::id();
    assert_eq!(
        refusal(&sqlite).await,
        format!("`path`: `acteon.db` is used by process {holder}; only one server can use a file")
    );
    close(&*first).await;
    let second = sqlite.open_audit().await;
    second.ping().await.unwrap();
}

#[tokio::test]
async fn records_are_kept_and_the_log_is_empty_after_the_file_was_closed() {
    let sqlite = Sqlite::default();
    let first = sqlite.open_audit().await;
    first.append(&[audit_record(1).into()]).await.unwrap();
    close(&*first).await;
    let left = fs::read_dir(sqlite.folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["acteon.db", "acteon.db.lock"]);
    assert_eq!(total(&*sqlite.open_audit().await).await, 1);
}

#[tokio::test]
async fn before_it_is_opened_and_after_it_was_closed_nothing_answers_and_nothing_is_created() {
    let sqlite = Sqlite::default();
    let audit = built(sqlite.folder.path(), json!({})).await.unwrap();
    let unavailable = async || {
        let record = [audit_record(1).into()];
        let appended = audit.append(&record).await;
        assert!(matches!(appended, Err(AuditError::Unavailable(_))));
        assert!(matches!(
            audit.ping().await,
            Err(AuditError::Unavailable(_))
        ));
    };
    unavailable().await;
    assert_eq!(fs::read_dir(sqlite.folder.path()).unwrap().count(), 0);
    open(&*audit).await.unwrap();
    open(&*audit).await.unwrap();
    audit.ping().await.unwrap();
    close(&*audit).await;
    close(&*audit).await;
    unavailable().await;
}

#[tokio::test]
async fn the_file_of_another_program_is_refused_and_left_as_it_is() {
    let sqlite = Sqlite::default();
    let foreign = Connection::open(sqlite.path()).unwrap();
    foreign.execute_batch("CREATE TABLE x (y)").unwrap();
    drop(foreign);
    assert_eq!(
        refusal(&sqlite).await,
        "`path`: `acteon.db` cannot be used: the file belongs to another program"
    );
    fs::write(sqlite.path(), "no database at all, but a text").unwrap();
    assert!(refusal(&sqlite).await.contains("file is not a database"));
    let text = fs::read_to_string(sqlite.path()).unwrap();
    assert_eq!(text, "no database at all, but a text");
}

#[tokio::test]
async fn a_newer_schema_is_accepted_if_it_says_that_this_binary_may_use_it() {
    let sqlite = Sqlite::default();
    close(&*sqlite.open_audit().await).await;
    let upgrade = |version: u32, min_binary: u32| {
        let file = Connection::open(sqlite.path()).unwrap();
        let upgrade = "UPDATE schema SET version = ?1, min_binary = ?2";
        file.execute(upgrade, (version, min_binary)).unwrap();
    };
    upgrade(NEWEST + 2, NEWEST);
    let audit = sqlite.open_audit().await;
    audit.append(&[audit_record(1).into()]).await.unwrap();
    close(&*audit).await;
    upgrade(NEWEST + 2, NEWEST + 1);
    let expected = format!(
        "its tables have version {}, for which this binary is too old: it knows version {NEWEST}, and at least {} is \
         needed",
        NEWEST + 2,
        NEWEST + 1
    );
    assert!(refusal(&sqlite).await.ends_with(&expected));
}

#[tokio::test]
async fn a_file_of_version_1_which_has_a_trail_only_gets_the_tables_of_the_state() {
    let sqlite = Sqlite::default();
    let file = Connection::open(sqlite.path()).unwrap();
    let ours = i32::from_be_bytes(*b"Actn");
    file.pragma_update(None, "application_id", ours).unwrap();
    file.execute_batch(include_str!("../schema/v1.sql"))
        .unwrap();
    file.execute("INSERT INTO schema VALUES (1, 1, 0)", [])
        .unwrap();
    drop(file);
    let state = sqlite.open_state(json!({}), StateContext::default()).await;
    state.set_rule_enabled("rule", false).await.unwrap();
    let toggles = state.rule_toggles().await.unwrap();
    assert_eq!(toggles, [("rule".into(), false)]);
    assert_eq!(state.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_file_of_version_2_keeps_its_state_and_gets_silences() {
    let sqlite = Sqlite::default();
    let file = Connection::open(sqlite.path()).unwrap();
    let ours = i32::from_be_bytes(*b"Actn");
    file.pragma_update(None, "application_id", ours).unwrap();
    for tables in [
        include_str!("../schema/v1.sql"),
        include_str!("../schema/v2.sql"),
        "INSERT INTO schema VALUES (2, 1, 0)",
        "INSERT INTO toggles VALUES ('rule', 0)",
    ] {
        file.execute_batch(tables).unwrap();
    }
    drop(file);
    let state = sqlite.open_state(json!({}), StateContext::default()).await;
    let toggles = state.rule_toggles().await.unwrap();
    assert_eq!(toggles, [("rule".into(), false)]);
    let write = SilenceWrite {
        silence: silence(1),
        expected: 0,
        live_max: 1,
    };
    let written = state.write_silence(&write).await.unwrap();
    assert_eq!(written, SilenceAnswer::Written(1));
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let sqlite = Sqlite::default();
    let audit = sqlite.open_audit().await;
    let records: Vec<_> = (0..500).map(|n| audit_record(n).into()).collect();
    audit.append(&records).await.unwrap();
    close(&*audit).await;
    let mut bytes = fs::read(sqlite.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0x55);
    fs::write(sqlite.path(), bytes).unwrap();
    let refusal = refusal(&sqlite).await;
    assert!(
        refusal.contains("is damaged; restore a backup"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_path_without_its_folder_and_a_folder_are_refused() {
    let sqlite = Sqlite::default();
    let refused = async |path: &str| {
        let built = built(sqlite.folder.path(), json!({"path": path})).await;
        built.map(drop).expect_err("it is refused").to_string()
    };
    let missing = refused("none/acteon.db").await;
    assert!(
        missing.starts_with("`path`: there is no directory `"),
        "{missing}"
    );
    assert!(refused(".").await.ends_with("is a directory"));
}

#[test]
fn one_path_is_one_file_however_it_is_written() {
    let sqlite = Sqlite::default();
    let folder = sqlite.folder.path();
    let files = SqliteFiles::default();
    let at = |path: &str, synchronous| files.at(folder, path.as_ref(), synchronous);
    let one = at("acteon.db", Synchronous::Full).unwrap();
    let other = at("./x/../acteon.db", Synchronous::Full);
    assert!(other.is_err(), "there is no x");
    fs::create_dir(folder.join("x")).unwrap();
    let other = at("./x/../acteon.db", Synchronous::Full).unwrap();
    assert!(std::sync::Arc::ptr_eq(&one, &other));
    let differs = at("acteon.db", Synchronous::Normal).map(drop).unwrap_err();
    assert_eq!(
        differs.to_string(),
        "`synchronous`: state and audit are in one file, so both need the same value"
    );
}

#[test]
fn only_versions_of_sqlite_that_keep_the_log_whole_are_used() {
    assert!(is_safe(rusqlite::version_number()));
    assert!(is_safe(3_051_003) && !is_safe(3_051_002));
}
