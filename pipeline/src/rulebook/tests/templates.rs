//! Templates are loaded, checked and swapped together with the rules.

use acteon_core::rules::RuleProblem;
use serde_json::Value;

use super::*;

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join("templates").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder with one rule and a template.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), rule("one")).unwrap();
    write(&folder, "mail/subject.txt", "first");
    folder
}

fn subject(rules: &Rules) -> String {
    let set = rules.options.templates.set();
    let rendered = set.render("mail", &action("a").build()).unwrap();
    let payload: Value = rendered.payload.parse().unwrap();
    payload["subject"].as_str().unwrap().to_owned()
}

fn problems(error: &RulesError) -> Vec<String> {
    error
        .problems()
        .iter()
        .map(RuleProblem::to_string)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn templates_are_in_force_from_the_start_and_after_a_reload() {
    let folder = folder();
    let rules = load(folder.path(), &memory()).await.unwrap();
    assert_eq!(subject(&rules), "first");
    let before = rules.rules().generation;
    write(&folder, "mail/subject.txt", "second");
    assert_eq!(subject(&rules), "first");
    rules.reload(None).await.unwrap();
    assert_eq!(subject(&rules), "second");
    assert_eq!(rules.rules().generation, before + 1);
    rules.reload(None).await.unwrap();
    assert_eq!(rules.rules().generation, before + 1, "nothing changed");
}

#[tokio::test(start_paused = true)]
async fn a_changed_template_is_followed_like_a_rule() {
    let folder = folder();
    let rules = load(folder.path(), &memory()).await.unwrap();
    let _tasks = follow(&rules);
    write(&folder, "mail/subject.txt", "second");
    fs::write(folder.path().join("b.yaml"), rule("two")).unwrap();
    until_named(&rules, &["one", "two"]).await;
    assert_eq!(subject(&rules), "second");
    write(&folder, "mail/subject.txt", "third");
    let followed = async {
        while subject(&rules) != "third" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let followed = tokio::time::timeout(Duration::from_secs(2), followed).await;
    assert!(followed.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_broken_template_keeps_the_rules_out_and_a_broken_rule_the_templates() {
    let folder = folder();
    let rules = load(folder.path(), &memory()).await.unwrap();
    fs::write(folder.path().join("b.yaml"), rule("two")).unwrap();
    write(&folder, "mail/subject.txt", "fine\n{{ acton.id }}");
    let error = rules.reload(None).await.err().unwrap();
    let expected =
        "templates/mail/subject.txt:2:1: there is no value `acton`; known: action, payload, labels";
    assert_eq!(problems(&error), [expected]);
    assert_eq!(
        rules.rules().last_errors[0].file,
        "templates/mail/subject.txt"
    );
    assert_eq!(
        (names(&rules), subject(&rules)),
        (vec!["one".to_owned()], "first".to_owned())
    );
    write(&folder, "mail/subject.txt", "second");
    fs::write(folder.path().join("b.yaml"), "rules: 3").unwrap();
    rules.reload(None).await.err().unwrap();
    assert_eq!(
        (names(&rules), subject(&rules)),
        (vec!["one".to_owned()], "first".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_does_not_start_with_broken_templates() {
    let folder = folder();
    write(&folder, "mail/body.txt", "{% if %}");
    write(&folder, "mail/note.txt", "ok");
    fs::write(folder.path().join("templates/mail/note.txt"), b"\xff").unwrap();
    let error = load(folder.path(), &memory()).await.err().unwrap();
    let problems = problems(&error);
    assert!(
        problems
            .iter()
            .any(|line| line.starts_with("templates/mail/body.txt:1:1: syntax error")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|line| line
                .contains("templates/mail/note.txt:1:1: cannot be read: it is not UTF-8")),
        "{problems:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_folder_named_after_no_provider_is_a_mistake() {
    let folder = folder();
    let mut options = options(folder.path());
    let known = ["log".into()];
    options.settings.providers = KnownProviders::Only(known.into());
    let error = Rules::load(options, memory()).await.err().unwrap();
    let expected = "templates/mail/subject.txt:1:1: there is no provider `mail`";
    assert_eq!(problems(&error), [expected]);
}
