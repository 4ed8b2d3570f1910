//! What of a directory is read, what is said of the rest, and which changes are seen.

use std::fs::{File, FileTimes};

use super::*;
use crate::rulebook::files::{self, read_rule_files};

/// A directory of rules of these names, in one file each.
fn folder_of(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(format!("{name}.yaml"));
        fs::write(path, rule(name)).unwrap();
    }
    folder
}

/// What is said of files that cannot be read, and of what is not read.
async fn said(folder: &TempDir) -> [Vec<String>; 2] {
    let read = files::read(folder.path()).await.folder.unwrap();
    [read.unreadable, read.warnings]
        .map(|problems| problems.iter().map(ToString::to_string).collect())
}

async fn loaded(folder: &TempDir) -> Vec<String> {
    names(&load(folder.path(), &memory()).await.unwrap())
}

/// Long enough for a change to be seen.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn hidden_files_and_what_editors_leave_are_passed_over() {
    let folder = folder_of(&["one"]);
    for name in [
        "._one.yaml",
        "#one.yaml#",
        "one.yaml~",
        ".yaml",
        ".one.yaml.swp",
    ] {
        fs::write(folder.path().join(name), b"\x00\x05\x16\x07").unwrap();
    }
    symlink("user@host.1:2", folder.path().join(".#two.yaml")).unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join(".git/rules.yaml"), "no rules").unwrap();
    assert_eq!(loaded(&folder).await, ["one"]);
    assert_eq!(said(&folder).await, [const { Vec::<String>::new() }; 2]);
}

#[tokio::test(start_paused = true)]
async fn files_behind_the_links_of_a_mounted_volume_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("..2026")).unwrap();
    fs::write(folder.path().join("..2026/a.yaml"), rule("one")).unwrap();
    symlink("..2026", folder.path().join("..data")).unwrap();
    symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
    assert_eq!(loaded(&folder).await, ["one"]);
    assert_eq!(said(&folder).await, [const { Vec::<String>::new() }; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_looks_like_rules_and_is_not_read_is_said() {
    let folder = folder_of(&["one"]);
    fs::create_dir_all(folder.path().join("team/mail")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("team/mail/m.yaml"), rule("m")).unwrap();
    fs::write(folder.path().join("TWO.YAML"), rule("two")).unwrap();
    fs::write(folder.path().join("README.md"), "about").unwrap();
    assert_eq!(loaded(&folder).await, ["one"]);
    let [unreadable, warnings] = said(&folder).await;
    assert_eq!(unreadable, Vec::<String>::new());
    assert_eq!(
        warnings,
        [
            "TWO.YAML:1:1: not read: the names of rule files end in `.yaml` or `.yml`, in lower case",
            "team:1:1: not read: subfolders are ignored, and this one contains rules (`team/mail/m.yaml`)",
        ]
    );
    let by_path = read_rule_files(folder.path()).unwrap();
    let path = folder.path().join("TWO.YAML").display().to_string();
    assert_eq!(by_path.warnings[0].file, path);
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_read_refuse_the_set_together_with_all_mistakes() {
    let folder = folder_of(&["one"]);
    let path = |name: &str| folder.path().join(name);
    symlink("nowhere.yaml", path("dangling.yaml")).unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();
    fs::write(path("latin.yaml"), b"# \xc3\xa4\nrules: # caf\xe9\n").unwrap();
    fs::write(path("large.yaml"), format!("#{}", "ä".repeat(524_288))).unwrap();
    fs::write(path("wrong.yaml"), "rules: 3").unwrap();
    let refused = load(folder.path(), &memory()).await.err().unwrap();
    let lines: Vec<_> = refused.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "dangling.yaml:1:1: cannot be read: the link leads nowhere (to `nowhere.yaml`)",
            "folder.yaml:1:1: cannot be read: it is not a file",
            "large.yaml:1:1: a rule file may be 1048576 bytes long",
            "latin.yaml:2:13: the byte 0xe9 is not UTF-8; save the file as UTF-8",
            "wrong.yaml:1:8: expected a list of rules, found the number `3`",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_keeps_size_and_time_is_seen() {
    let (folder, _state, rules) = one_rule().await;
    let path = folder.path().join("a.yaml");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let _tasks = follow(&rules);
    a_while().await;
    fs::write(&path, rule("two")).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(before))
        .unwrap();
    until_named(&rules, &["two"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_set_that_would_become_empty_is_refused_and_the_old_one_stays() {
    let (folder, _state, rules) = one_rule().await;
    let path = folder.path().join("a.yaml");
    let _tasks = follow(&rules);
    for text in [None, Some("rules: []")] {
        match text {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        a_while().await;
        assert_eq!(names(&rules), ["one"]);
        assert_eq!(rules.generation().stamp.number, 1);
        let told = &rules.rules().last_errors[0].message;
        assert!(told.contains("`rules.allow_empty = true`"), "{told}");
        let refused = rules.reload(None).await.unwrap_err();
        assert!(matches!(refused, RulesError::WouldBeEmpty(_)), "{refused}");
        fs::write(&path, rule("one")).unwrap();
        a_while().await;
        assert!(rules.rules().last_errors.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_was_removed_and_made_anew_is_watched_again() {
    let (folder, _state, rules) = one_rule().await;
    let _tasks = follow(&rules);
    fs::remove_dir_all(folder.path()).unwrap();
    a_while().await;
    assert_eq!(names(&rules), ["one"]);
    let told = rules.rules().last_errors;
    let missing = "there is no directory `/";
    assert!(told[0].message.starts_with(missing), "{told:?}");
    fs::create_dir(folder.path()).unwrap();
    a_while().await;
    assert_eq!(names(&rules), ["one"]);
    fs::write(folder.path().join("b.yaml"), rule("two")).unwrap();
    until_named(&rules, &["two"]).await;
    assert!(rules.rules().last_errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_it_is_allowed_a_set_becomes_empty() {
    let folder = folder_of(&["one"]);
    let options = RulesOptions {
        allow_empty: true,
        ..options(folder.path())
    };
    let rules = Rules::load(options, memory()).await.unwrap();
    let _tasks = follow(&rules);
    fs::remove_file(folder.path().join("one.yaml")).unwrap();
    until_named(&rules, &[]).await;
    fs::write(folder.path().join("two.yaml"), rule("two")).unwrap();
    until_named(&rules, &["two"]).await;
    fs::remove_dir_all(folder.path()).unwrap();
    until_named(&rules, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_may_start_without_rules_and_learn_them_later() {
    let folder = folder_of(&[]);
    let rules = load(folder.path(), &memory()).await.unwrap();
    rules.reload(None).await.unwrap();
    let _tasks = follow(&rules);
    fs::write(folder.path().join("a.yaml"), rule("one")).unwrap();
    until_named(&rules, &["one"]).await;
}
