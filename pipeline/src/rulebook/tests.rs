//! Whole sets or nothing, toggles that hold, and files that are followed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use acteon_backends_memory::MemoryState;
use acteon_core::rules::{EvaluateOptions, Rulebook, RulesError};
use acteon_core::{Action, Clock, Redactor, State};
use acteon_rules::{CompileSettings, KnownProviders};
use acteon_testkit::{Reach, UnreachableState, action, epoch};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Rules, RulesOptions, read_rule_test_files};
use crate::Follow;

mod folders;

fn rule(name: &str) -> String {
    format!("rules: [{{ name: {name}, condition: {{ all: [] }}, action: {{ type: allow }} }}]")
}

async fn load(folder: &Path, state: &Arc<dyn State>) -> Result<Arc<Rules>, RulesError> {
    Rules::load(options(folder), state.clone()).await
}

fn options(folder: &Path) -> RulesOptions {
    RulesOptions {
        directory: Some(folder.to_owned()),
        allow_empty: false,
        settings: CompileSettings {
            default_timezone: jiff::tz::TimeZone::UTC,
            environment: Vec::new(),
            providers: KnownProviders::Any,
            state_machines: Default::default(),
        },
        redactor: Redactor::default(),
        clock: Clock::starting_at(epoch()),
    }
}

fn memory() -> Arc<dyn State> {
    Arc::new(MemoryState::default())
}

async fn one_rule() -> (TempDir, Arc<dyn State>, Arc<Rules>) {
    let (folder, state) = (tempfile::tempdir().unwrap(), memory());
    fs::write(folder.path().join("a.yaml"), rule("one")).unwrap();
    let rules = load(folder.path(), &state).await.unwrap();
    (folder, state, rules)
}

fn names(rules: &Rules) -> Vec<String> {
    rules
        .rules()
        .rules
        .iter()
        .map(|rule| rule.name.to_string())
        .collect()
}

/// Follows the rules in the background, in virtual time.
fn follow(rules: &Arc<Rules>) -> JoinSet<()> {
    let (rules, mut tasks) = (rules.clone(), JoinSet::new());
    tasks.spawn(async move {
        rules
            .watch(Follow::TogglesAndFiles, CancellationToken::new())
            .await;
    });
    tasks
}

/// Lets virtual time pass until the names are these; at most the two seconds a change may take.
async fn until_named(rules: &Rules, wanted: &[&str]) {
    let reached = async {
        while names(rules) != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(2), reached).await;
    assert!(reached.is_ok(), "{:?} instead of {wanted:?}", names(rules));
}

#[tokio::test(start_paused = true)]
async fn a_process_does_not_start_with_broken_rules() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "rules: 3").unwrap();
    let error = load(folder.path(), &memory()).await.err().unwrap();
    assert!(matches!(error, RulesError::Invalid(ref problems) if problems.len() == 1));
    let missing = load(&folder.path().join("nowhere"), &memory())
        .await
        .err()
        .unwrap();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn tests_beside_rules_are_no_rules() {
    let (folder, _state, rules) = one_rule().await;
    for name in ["a.test.yaml", "b.test.yml"] {
        fs::write(folder.path().join(name), "tests: [{}]").unwrap();
    }
    fs::write(folder.path().join("test.yaml"), rule("two")).unwrap();
    rules.reload(None).await.unwrap();
    assert_eq!(names(&rules), ["one", "two"]);
    let tests = read_rule_test_files(folder.path()).unwrap();
    let names: Vec<_> = tests.files.iter().map(|file| &file.name).collect();
    let path = |name| folder.path().join(name).display().to_string();
    assert_eq!(names, [&path("a.test.yaml"), &path("b.test.yml")]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_reload_changes_nothing_and_is_told() {
    let (folder, _state, rules) = one_rule().await;
    fs::write(folder.path().join("b.yaml"), "rules: [{}]").unwrap();
    assert!(rules.reload(None).await.is_err());
    assert_eq!(
        (names(&rules), rules.generation().stamp.number),
        (vec!["one".to_owned()], 1)
    );
    assert!(!rules.rules().last_errors.is_empty());
    fs::write(folder.path().join("b.yaml"), rule("two")).unwrap();
    assert_eq!(rules.reload(None).await.unwrap().generation, 2);
    assert!(rules.rules().last_errors.is_empty());
    assert_eq!(names(&rules), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn only_what_lies_below_the_configured_directory_can_be_loaded() {
    let (folder, _state, rules) = one_rule().await;
    let below = folder.path().join("night");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("n.yaml"), rule("night")).unwrap();
    rules.reload(Some(Path::new("night"))).await.unwrap();
    assert_eq!(names(&rules), ["night"]);
    for outside in ["..", "/", "night/../.."] {
        let error = rules.reload(Some(Path::new(outside))).await.unwrap_err();
        assert!(
            matches!(error, RulesError::OutsideDirectory(_)),
            "{outside}: {error}"
        );
    }
    symlink("/", folder.path().join("out")).unwrap();
    assert!(rules.reload(Some(Path::new("out"))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn toggles_hold_across_reloads_and_on_other_nodes() {
    let (folder, state, rules) = one_rule().await;
    rules.set_enabled("one", false).await.unwrap();
    assert!(!rules.rules().rules[0].enabled);
    rules.reload(None).await.unwrap();
    assert!(!rules.rules().rules[0].enabled);
    let other = load(folder.path(), &state).await.unwrap();
    assert!(!other.rules().rules[0].enabled);
    let _tasks = follow(&other);
    rules.set_enabled("one", true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(other.rules().rules[0].enabled);
    assert!(matches!(
        rules.set_enabled("nobody", true).await,
        Err(RulesError::NotFound(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_loaded_within_two_seconds() {
    let (folder, _state, rules) = one_rule().await;
    let _tasks = follow(&rules);
    fs::write(folder.path().join("a.yaml"), rule("another")).unwrap();
    until_named(&rules, &["another"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_written_again_as_it_was_makes_no_new_generation() {
    let (folder, _state, rules) = one_rule().await;
    let _tasks = follow(&rules);
    fs::write(folder.path().join("b.yaml"), "rules: [{ name: two }]").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!rules.rules().last_errors.is_empty());
    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    fs::write(folder.path().join("a.yaml"), rule("one")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(rules.rules().last_errors.is_empty());
    rules.reload(None).await.unwrap();
    assert_eq!(rules.generation().stamp.number, 1);
}

#[tokio::test(start_paused = true)]
async fn a_swapped_link_is_seen() {
    let (folder, state) = (tempfile::tempdir().unwrap(), memory());
    for name in ["red", "blue"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("r.yaml"), rule(name)).unwrap();
    }
    let link = folder.path().join("current");
    symlink(folder.path().join("red"), &link).unwrap();
    let rules = load(&link, &state).await.unwrap();
    assert_eq!(names(&rules), ["red"]);
    let _tasks = follow(&rules);
    let next = folder.path().join("next");
    symlink(folder.path().join("blue"), &next).unwrap();
    fs::rename(next, &link).unwrap();
    until_named(&rules, &["blue"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_is_told_once_and_changes_nothing() {
    let (folder, _state, rules) = one_rule().await;
    let _tasks = follow(&rules);
    fs::write(folder.path().join("b.yaml"), "rules: [{ name: two }]").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rules.generation().stamp.number, 1);
    assert!(!rules.rules().last_errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_its_state_a_process_starts_and_learns_the_toggles_later() {
    let (folder, inner) = (tempfile::tempdir().unwrap(), memory());
    fs::write(folder.path().join("a.yaml"), rule("one")).unwrap();
    inner.set_rule_enabled("one", false).await.unwrap();
    let away = UnreachableState::before(inner);
    away.set_reach(Reach::CutOff);
    let state: Arc<dyn State> = away.clone();
    let rules = load(folder.path(), &state).await.unwrap();
    assert!(rules.rules().rules[0].enabled);
    let _tasks = follow(&rules);
    away.set_reach(Reach::Whole);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!rules.rules().rules[0].enabled);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_broken_reloads_never_changes_the_set_and_toggles_hold_through_it() {
    let (folder, _state, rules) = one_rule().await;
    rules.set_enabled("one", false).await.unwrap();
    let before = rules.generation();
    let _tasks = follow(&rules);
    for round in 0..100 {
        let file = folder
            .path()
            .join(format!("{}.yaml", ["b", "c", "d"][round % 3]));
        fs::write(file, format!("rules: [{{ name: r{round} }}]")).unwrap();
        let error = rules.reload(None).await.unwrap_err();
        assert!(matches!(error, RulesError::Invalid(_)), "{error}");
        assert!(Arc::ptr_eq(&before, &rules.generation()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in ["b.yaml", "c.yaml", "d.yaml"] {
        fs::write(folder.path().join(name), rule(&name[..1])).unwrap();
    }
    until_named(&rules, &["one", "b", "c", "d"]).await;
    let enabled: Vec<_> = rules.rules().rules.iter().map(|r| r.enabled).collect();
    assert_eq!(enabled, [false, true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn toggles_in_any_order_make_no_new_generation() {
    let (folder, state, _) = one_rule().await;
    for name in ["z", "one", "m", "a"] {
        state.set_rule_enabled(name, true).await.unwrap();
    }
    let rules = load(folder.path(), &state).await.unwrap();
    let _tasks = follow(&rules);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rules.generation().stamp.number, 1);
}

/// A rule whose expression takes all the steps it may: milliseconds an action.
fn costly(name: &str) -> String {
    let expression = "action.payload.n.all(a, action.payload.n.all(b, a + b >= 0))";
    format!(
        "  - {{ name: {name}, on_error: skip, condition: {{ cel: \"{expression}\" }}, action: {{ type: deny }} }}\n"
    )
}

async fn costly_rules(count: usize) -> (TempDir, Arc<Rules>) {
    let (folder, state) = (tempfile::tempdir().unwrap(), memory());
    let rules = (0..count).map(|n| costly(&format!("r{n}")));
    let file = format!("rules:\n{}", rules.collect::<String>());
    fs::write(folder.path().join("a.yaml"), file).unwrap();
    let rules = load(folder.path(), &state).await.unwrap();
    (folder, rules)
}

fn costly_action(id: &str) -> Action {
    let numbers: Vec<u32> = (0..400).collect();
    action(id)
        .payload(&serde_json::json!({ "n": numbers }))
        .build()
}

/// A task that counts its turns, and the count.
fn another_task() -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (turns, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let counted = turns.clone();
    tasks.spawn(async move {
        loop {
            counted.fetch_add(1, Relaxed);
            tokio::task::yield_now().await;
        }
    });
    (tasks, turns)
}

#[tokio::test]
async fn a_batch_of_costly_dry_runs_lets_others_run_between_its_actions() {
    let (_folder, rules) = costly_rules(1).await;
    let actions: Vec<_> = (0..20).map(|n| costly_action(&n.to_string())).collect();
    let asked: Vec<_> = actions.iter().collect();
    let (_others, turns) = another_task();
    assert_eq!(rules.dry_run(&asked).await.unwrap().len(), asked.len());
    let turns = turns.load(Relaxed);
    assert!(turns >= asked.len(), "another task had {turns} turns");
}

#[tokio::test]
async fn an_explanation_of_costly_rules_lets_others_run_between_them() {
    let (_folder, rules) = costly_rules(20).await;
    let (_others, turns) = another_task();
    let options = EvaluateOptions::default();
    let evaluation = rules.evaluate(&costly_action("a"), &options).await.unwrap();
    assert_eq!(evaluation.trace.len(), 20);
    let turns = turns.load(Relaxed);
    assert!(turns >= 20, "another task had {turns} turns");
}

#[tokio::test]
async fn rules_are_slow_when_several_actions_took_long_and_until_many_did_not() {
    let (_folder, _state, rules) = one_rule().await;
    let generation = rules.generation();
    let long = Duration::from_millis(5);
    generation.took(long, 1);
    assert!(!generation.is_slow());
    (0..3).for_each(|_| generation.took(long, 1));
    assert!(generation.is_slow());
    generation.took(long, 100);
    assert!(!generation.is_slow());
}
