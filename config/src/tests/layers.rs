//! File, environment and flags: who wins, and how text becomes typed values.

use super::*;

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "[server]\nhost = \"file\"\nport = 1\nmax_batch_actions = 1\n";
    let environment = [
        ("ACTEON_SERVER__PORT", "2"),
        ("ACTEON_SERVER__HOST", "variable"),
    ];
    let settings = load_text(file, &environment, &[("server.port", "3")]).unwrap();
    let server = settings.server;
    assert_eq!((server.host.as_str(), server.port), ("variable", 3));
    assert_eq!(server.max_batch_actions, 1);
}

#[test]
fn variables_are_read_as_what_their_key_wants() {
    let environment = [
        ("ACTEON_AUDIT__ENABLED", "false"),
        ("ACTEON_AUDIT__REDACT__FIELDS", "a, card.number ,,b"),
        ("ACTEON_RULES__ENVIRONMENT", "[\"A\", \"B,C\"]"),
        ("ACTEON_ADMIN__PORT", "9000"),
        ("ACTEON_LOG__FORMAT", "json"),
        ("ACTEON_RULES__DIRECTORY", "1234"),
    ];
    let settings = load_text("", &environment, &[]).unwrap();
    assert!(!settings.audit.enabled);
    assert_eq!(settings.audit.redact.fields, ["a", "card.number", "b"]);
    assert_eq!(settings.rules.environment, ["A", "B,C"]);
    assert_eq!(settings.admin.port, Some(9000));
    assert_eq!(settings.log.format, Some(LogFormat::Json));
    assert_eq!(settings.rules.directory.as_deref(), Some(Path::new("1234")));
}

#[test]
fn variables_without_two_underscores_are_none_of_ours() {
    let environment = [
        ("ACTEON_AUTH_KEY", "x"),
        ("ACTEON_", "x"),
        ("OTHER__KEY", "x"),
    ];
    assert!(load_text("", &environment, &[]).is_ok());
}

#[test]
fn a_variable_that_spells_a_key_with_one_underscore_is_told_which_is_meant() {
    let file = "[[providers]]\nname = \"my-hook\"\ntype = \"webhook\"\nurl = \"x\"\n";
    let environment = [
        ("ACTEON_SERVER_PORT", "9090"),
        ("ACTEON_SERVER_MAX_BODY_BYTES", "1"),
        ("ACTEON_AUDIT_REDACT_ENABLED", "true"),
        ("ACTEON_PROVIDERS_MY_HOOK_TIMEOUT_SECONDS", "1"),
        ("ACTEON_SERVER", "1"),
        ("ACTEON_VERSION", "1"),
        ("ACTEON_AUTH_KEY_A__B", "x"),
    ];
    insta::assert_snapshot!(load_text(file, &environment, &[]).unwrap_err());
}

#[test]
fn a_variable_that_names_a_section_or_is_not_in_capitals_is_an_error() {
    let environment = [
        ("ACTEON_PROVIDERS", "[{ name = \"a\", type = \"log\" }]"),
        ("ACTEON_RULES", "rules"),
        ("ACTEON_RULES_DIR", "rules"),
        ("ACTEON_SOURCES", "[]"),
        ("ACTEON_STATE", "memory"),
        ("ACTEON_SERVER_PRT", "1"),
        ("acteon_server__port", "1"),
        ("Acteon_Server__Host", "x"),
        ("ACTEON_AUDIT_PASSWORD", "the value of a secret"),
        ("acteon_auth_key_a__b", "x"),
        ("acteon_home", "x"),
    ];
    insta::assert_snapshot!(load_text("", &environment, &[]).unwrap_err());
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_no_mistake() {
    let environment = [
        ("ACTEON_SERVER_PORT", "tcp://10.0.0.1:8080"),
        ("ACTEON_SERVER_PORT_8080_TCP_PORT", "8080"),
        ("ACTEON_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("ACTEON_PORT", "tcp://10.0.0.1:8080"),
    ];
    assert!(load_text("", &environment, &[]).is_ok());
}

#[test]
fn entries_of_a_list_go_by_their_name() {
    let file = "[[providers]]\nname = \"log\"\ntype = \"log\"\n\
                [[providers]]\nname = \"My-Hook\"\ntype = \"webhook\"\nurl = \"x\"\n";
    let environment = [
        ("ACTEON_PROVIDERS__MY_HOOK__QUEUE", "5"),
        ("ACTEON_PROVIDERS__MY_HOOK__HEADERS__X_KEY", "k"),
        ("ACTEON_PROVIDERS__MY_HOOK__AUTH__TYPE", "bearer"),
        ("ACTEON_PROVIDERS__MY_HOOK__AUTH__TOKEN", "k"),
    ];
    let settings = load_text(file, &environment, &[("providers.log.queue", "6")]).unwrap();
    assert_eq!(
        (
            settings.providers[0].limits.queue,
            settings.providers[1].limits.queue
        ),
        (6, 5)
    );
}

#[test]
fn a_variable_may_choose_the_kind_and_others_set_its_options() {
    let environment = [
        ("ACTEON_STATE__URL", "r://x"),
        ("ACTEON_STATE__BACKEND", "remote"),
    ];
    assert_eq!(
        load_text("", &environment, &[]).unwrap().state.backend,
        "remote"
    );
}

#[test]
fn a_whole_table_may_come_from_one_variable() {
    let value = "{ a = { failure_threshold = 3 } }";
    let environment = [("ACTEON_CIRCUIT_BREAKER__PROVIDERS", value)];
    let settings = load_text("", &environment, &[]).unwrap();
    assert_eq!(
        settings.pipeline.circuit_breaker.providers["a"].failure_threshold,
        Some(3)
    );
}

#[test]
fn free_keys_keep_the_spelling_they_have_in_the_file() {
    let file = "[[providers]]\nname = \"My-Hook\"\ntype = \"log\"\n\
                [circuit_breaker.providers.My-Hook]\nenabled = true\n";
    let environment = [(
        "ACTEON_CIRCUIT_BREAKER__PROVIDERS__MY_HOOK__ENABLED",
        "false",
    )];
    let settings = load_text(file, &environment, &[]).unwrap();
    assert_eq!(
        settings.pipeline.circuit_breaker.for_provider("My-Hook"),
        None
    );
}

#[test]
fn mistakes_in_variables_and_flags_name_them() {
    let file = "[[providers]]\nname = \"hook\"\ntype = \"log\"\n";
    let environment = [
        ("ACTEON_SERVER__PROT", "1"),
        ("ACTEON_SERVR__PORT", "1"),
        ("ACTEON_SERVER__PORT__DEEPER", "1"),
        ("ACTEON_SERVER__MAX_BODY_BYTES", "much"),
        ("ACTEON_SERVER__MAX_CONNECTIONS", "99999999999999999999"),
        ("ACTEON_LOG__LEVEL", "inof"),
        ("ACTEON_PROVIDERS__HOKO__QUEUE", "1"),
        ("ACTEON_PROVIDERS__HOOK__URL", "x"),
        ("ACTEON_RATE_LIMIT__ENABLED", "true"),
        ("ACTEON___", "true"),
    ];
    let flags = [
        ("server.port", "70000"),
        ("server.shutdown_timeout_seconds", "-1"),
    ];
    let errors = load_text(file, &environment, &flags).unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn two_names_that_a_variable_cannot_tell_apart_are_not_guessed_at() {
    let file = "[[providers]]\nname = \"a-b\"\ntype = \"log\"\n\
                [[providers]]\nname = \"a.b\"\ntype = \"log\"\n";
    let environment = [("ACTEON_PROVIDERS__A_B__QUEUE", "5")];
    let errors = load_text(file, &environment, &[]).unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn the_directory_of_rules_is_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acteon.toml");
    let directory = |text: &str, environment: &[(&str, &str)]| {
        std::fs::write(&path, text).unwrap();
        let pairs = environment.iter();
        let inputs = Inputs {
            path: Some(path.clone()),
            environment: pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            flags: Vec::new(),
        };
        load_file(&inputs).unwrap().rules.directory
    };
    let rules = "[rules]\ndirectory = \"rules\"\n";
    assert_eq!(directory(rules, &[]), Some(folder.path().join("rules")));
    let variable = [("ACTEON_RULES__DIRECTORY", "night")];
    let night = folder.path().join("night");
    assert_eq!(directory(rules, &variable), Some(night));
    let absolute = "[rules]\ndirectory = \"/etc/rules\"\n";
    assert_eq!(directory(absolute, &[]), Some("/etc/rules".into()));
    assert_eq!(directory("", &[]), None);
}
