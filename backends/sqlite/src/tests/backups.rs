//! Copies of a file that is in use, and what is restored from them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use acteon_core::audit::AuditQuery;
use acteon_core::scope::Scope;
use acteon_testkit::audit_record;
use serde_json::json;

use super::{Sqlite, built, close, open};

#[tokio::test]
async fn a_copy_of_a_file_in_use_has_what_was_answered_before_and_can_be_opened() {
    let sqlite = Sqlite::default();
    let copy = sqlite.folder.path().join("copy.db");
    let audit = sqlite.open_audit().await;
    let records: Vec<_> = (0..300).map(|n| audit_record(n).into()).collect();
    audit.append(&records).await.unwrap();
    let other = built(sqlite.folder.path(), json!({})).await.unwrap();
    other.embedded().unwrap().back_up(&copy).await.unwrap();
    audit.append(&[audit_record(301).into()]).await.unwrap();
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let restored = built(sqlite.folder.path(), json!({"path": "copy.db"}))
        .await
        .unwrap();
    open(&*restored).await.unwrap();
    let all = AuditQuery::newest(Scope::everything(), 1);
    assert_eq!(restored.query(&all).await.unwrap().total, 300);
    assert_eq!(audit.query(&all).await.unwrap().total, 301);
    close(&*restored).await;
}

#[tokio::test]
async fn a_file_that_was_closed_is_copied_and_nothing_is_replaced() {
    let sqlite = Sqlite::default();
    let copy = sqlite.folder.path().join("copy.db");
    let audit = built(sqlite.folder.path(), json!({})).await.unwrap();
    let file = audit.embedded().unwrap();
    let refused = async || file.back_up(&copy).await.unwrap_err().to_string();
    assert!(refused().await.ends_with("acteon.db` does not exist"));
    open(&*audit).await.unwrap();
    close(&*audit).await;
    file.back_up(&copy).await.unwrap();
    assert!(refused().await.ends_with("copy.db` exists already"));
    let elsewhere = file.back_up(&copy.join("none")).await.unwrap_err();
    assert!(elsewhere.to_string().ends_with("acteon.db` was not copied"));
    let left = fs::read_dir(sqlite.folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["acteon.db", "acteon.db.lock", "copy.db"]);
}
