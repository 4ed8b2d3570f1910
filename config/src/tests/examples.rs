//! The files that users begin with.

use acteon_core::FullPolicy;

use super::*;

fn example(name: &str, environment: &[(&str, &str)]) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    load_text(&text, environment, &[]).unwrap_or_else(|errors| panic!("{name}:\n{errors}"))
}

#[test]
fn the_minimal_example_has_rules_and_nothing_else() {
    let settings = example("minimal.toml", &[]);
    assert_eq!(
        settings.rules.directory.as_deref(),
        Some(Path::new("../../examples/rules"))
    );
    assert!(settings.sources.is_empty() && settings.providers.is_empty());
}

#[test]
fn the_example_from_kafka_to_a_webhook_names_both() {
    let settings = example("kafka-to-webhook.toml", &[]);
    assert_eq!(settings.sources[0].kind, "kafka");
    let kinds: Vec<_> = settings.providers.iter().map(|p| p.kind.as_str()).collect();
    assert_eq!(kinds, ["webhook", "log"]);
}

#[test]
fn the_example_for_kafka_over_tls_takes_its_password_from_the_environment() {
    let settings = example("kafka-over-tls.toml", &[("KAFKA_PASSWORD", "hunter2")]);
    assert_eq!(settings.sources[0].kind, "kafka");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kafka-over-tls.toml");
    let missing = load_text(&std::fs::read_to_string(path).unwrap(), &[], &[]);
    assert!(missing.unwrap_err().to_string().contains("KAFKA_PASSWORD"));
}

#[test]
fn the_example_for_sqlite_says_where_its_file_is() {
    let settings = example("sqlite.toml", &[]);
    let backends = [&settings.state.backend, &settings.audit.backend];
    assert_eq!(backends, ["sqlite", "sqlite"]);
}

#[test]
fn the_full_example_says_the_defaults_where_it_claims_to() {
    let settings = example("full.toml", &[("CRM_TOKEN", "x")]);
    assert_eq!(settings.server, ServerSettings::default());
    assert_eq!(settings.audit.keys, AuditKeys::default());
    assert_eq!(settings.state.keys, StateKeys::default());
    let dead_letters = DeadLetterSettings {
        poison: settings.dead_letters.poison.clone(),
        exhausted: settings.dead_letters.exhausted.clone(),
        ..DeadLetterSettings::default()
    };
    assert_eq!(settings.dead_letters, dead_letters);
    assert_eq!(settings.log.level, LogThreshold::default());
    let mut pipeline = settings.pipeline;
    pipeline.circuit_breaker.providers.clear();
    pipeline.redelivery.providers.clear();
    assert_eq!(settings.names.state_machines, ["alert"]);
    pipeline.state_machines.clear();
    assert_eq!(pipeline, PipelineSections::default());
    let rules = RulesSettings {
        directory: settings.rules.directory.clone(),
        environment: settings.rules.environment.clone(),
        ..RulesSettings::default()
    };
    assert_eq!(settings.rules, rules);
}

#[test]
fn what_is_said_of_one_kind_of_dead_letters_holds_for_it_alone() {
    let text = "[dead_letters]\nmax = 7\nwhen_full = \"evict_oldest\"\n\
        [dead_letters.poison]\nmax = 5\nretention_seconds = 60\nwhen_full = \"block\"\n";
    let bounds = load_text(text, &[], &[]).unwrap().dead_letters.bounds();
    let of = |bound: acteon_core::dead_letter::DeadLetterBound| {
        (bound.max.get(), bound.retention.as_secs(), bound.when_full)
    };
    assert_eq!(of(bounds.poison), (5, 60, FullPolicy::Block));
    assert_eq!(of(bounds.exhausted), (7, 604_800, FullPolicy::EvictOldest));
}
