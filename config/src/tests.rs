//! How inputs become a configuration. Reports of mistakes are tested in `tests/mistakes.rs`.

mod adapters;
mod examples;
mod layers;
mod mistakes;
mod mutations;
mod secrets;
mod shown;

use std::time::Duration;

use acteon_pipeline::{PipelineSections, ProviderLimits, TrailDelivery, TrailOptions};

use self::adapters::Registries;
use super::*;

type Config = ResolvedConfig<TestPipeline>;

/// The pipeline's types.
#[derive(Debug)]
struct TestPipeline;

impl PipelineKeys for TestPipeline {
    type Sections = PipelineSections;
    type TrailKeys = TrailOptions;
    type ProviderKeys = ProviderLimits;
}

/// Loads `text` as the file, with these variables and flags.
fn load_text(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, ProblemList> {
    let owned = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    };
    let inputs = Inputs {
        path: None,
        environment: owned(environment),
        flags: owned(flags),
    };
    let registries = Registries::new();
    let document = Document::new(DEFAULT_FILE, text);
    read_document(document, &inputs, &registries.adapters()).complete()
}

fn load_file(inputs: &Inputs) -> Result<Config, ProblemList> {
    load(inputs, &Registries::new().adapters())
}

fn loaded(text: &str) -> Config {
    load_text(text, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(text: &str) -> String {
    load_text(text, &[], &[]).unwrap_err().to_string()
}

#[test]
fn without_a_default_file_everything_has_its_default() {
    let registries = Registries::new();
    let settings: Config = load(&Inputs::default(), &registries.adapters()).unwrap();
    assert_eq!(settings.server, ServerSettings::default());
    assert_eq!(
        (settings.server.host.as_str(), settings.server.port),
        ("127.0.0.1", 8080)
    );
    assert_eq!(settings.admin.listener(&settings.server), None);
    assert_eq!(settings.state.backend, "memory");
    assert_eq!(settings.audit.keys, AuditKeys::default());
    assert_eq!(
        settings.audit.trail.ttl,
        Some(Duration::from_secs(30 * 24 * 3600))
    );
    assert_eq!(settings.pipeline, PipelineSections::default());
    assert_eq!(settings.rules, RulesSettings::default());
    assert!(settings.sources.is_empty() && settings.providers.is_empty());
}

#[test]
fn a_named_file_must_be_there() {
    let inputs = Inputs {
        path: Some("nowhere/acteon.toml".into()),
        ..Inputs::default()
    };
    let errors = load_file(&inputs).unwrap_err();
    let expected = "nowhere/acteon.toml: cannot be read: No such file or directory (os error 2)";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_file_that_was_meant_to_be_the_configuration_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "acteon.tml",
        "acteon.toml.txt",
        "Acteon.toml",
        "acteon.yaml",
        "acteon.json",
        "actoen.toml",
        "acteon.toml~",
    ];
    for name in names.iter().chain(&[
        "rules.yaml",
        "acteon.toml.md",
        "acteon-server",
        "acteon.db",
        "README.md",
    ]) {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    std::fs::create_dir(folder.path().join("acteon.tom")).unwrap();
    let reported = stray::problems(folder.path());
    let mut files: Vec<_> = reported
        .iter()
        .map(|problem| problem.location.to_string())
        .collect();
    files.sort_by_key(|file| names.iter().position(|name| name == file));
    assert_eq!(files, names);
    let expected = "acteon.tml: this file is not read, because the configuration file is named \
                    `acteon.toml`: rename it, or pass `-c acteon.tml`";
    assert!(
        reported
            .iter()
            .any(|problem| problem.to_string() == expected),
        "{reported:?}"
    );
}

#[test]
fn what_can_be_read_is_read_where_something_else_is_wrong() {
    let text = "[server]\nport = \"x\"\n[rules]\ndirectory = \"rules\"\ndefault_timezone = \"Nowhere\"\n[state]\nbackend = \"redis\"\n\
                [[providers]]\nname = \"good\"\ntype = \"log\"\n[[providers]]\nname = \"bad\"\ntype = \"lgo\"\n";
    let registries = Registries::new();
    let document = Document::new(DEFAULT_FILE, text);
    let loaded: LoadedConfig<TestPipeline> =
        read_document(document, &Inputs::default(), &registries.adapters());
    assert_eq!(loaded.problems.iter().count(), 4);
    let settings = loaded.config.unwrap();
    assert_eq!(
        settings.rules.directory.as_deref(),
        Some(Path::new("rules"))
    );
    assert_eq!(
        (settings.server, settings.state.backend.as_str()),
        (ServerSettings::default(), "memory")
    );
    assert_eq!(settings.providers.len(), 1);
    assert_eq!(settings.names.providers, ["good", "bad"]);
}

#[test]
fn a_machine_that_cannot_be_read_leaves_its_place_to_none() {
    let text = "[[state_machines]]\nname = \"a\"\ninitial_state = 7\n[[state_machines]]\nname = \"b\"\ninitial_state = \"open\"\n\
                timeouts = [{ after_secs = 1, transition_to = \"x\" }]\n[[state_machines]]\nname = \"c\"\ninitial_state = \"open\"\n";
    let registries = Registries::new();
    let document = Document::new(DEFAULT_FILE, text);
    let loaded: LoadedConfig<TestPipeline> =
        read_document(document, &Inputs::default(), &registries.adapters());
    let expected = "acteon.toml:3:17: state_machines.a.initial_state: expected a string, found 7\n\
                    acteon.toml:7:13: state_machines.b.timeouts[0]: the key `after_seconds` is missing: expected an integer of at least 0\n\
                    acteon.toml:7:15: state_machines.b.timeouts[0].after_secs: unknown key; did you mean `after_seconds`?";
    assert_eq!(loaded.problems.to_string(), expected);
    let config = loaded.config.unwrap();
    assert_eq!(config.names.state_machines, ["a", "b", "c"]);
    let read: Vec<_> = config
        .pipeline
        .state_machines
        .iter()
        .map(Option::is_some)
        .collect();
    assert_eq!(read, [false, false, true]);
}

#[test]
fn what_is_found_out_later_is_told_with_the_place_where_it_was_said() {
    let text = "[server]\nhost = \"h\"\n\n[[providers]]\nname = \"a.b\"\ntype = \"webhook\"\nurl = \"http://u:p@h/\"\n\
                headers = { \"X.Y\" = \"hunter2\" }\n";
    let settings = load_text(text, &[("ACTEON_SERVER__PORT", "1")], &[]).unwrap();
    let (whole, hook) = (&settings.section, &settings.providers[0].section);
    let reported = [
        whole.problem("server.port", "is in use"),
        whole.problem("server.host", "is not here"),
        whole.problem("server.max_connections", "are too many"),
        whole.problem("admin.port", "is in use"),
        hook.problem("headers.X.Y", "hunter2 is weak"),
        hook.problem("success_codes[1]", "http://u:p@h/ does not know it"),
        hook.problem("", "cannot be built"),
    ];
    insta::assert_snapshot!(reported.map(|problem| problem.to_string()).join("\n"));
}

#[test]
fn a_named_file_is_read() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"[server]\nport = 1234\n").unwrap();
    let inputs = Inputs {
        path: Some(file.path().to_owned()),
        ..Inputs::default()
    };
    assert_eq!(load_file(&inputs).unwrap().server.port, 1234);
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"a = 1\nb = \"\xc3\xa4\xff\"").unwrap();
    let inputs = Inputs {
        path: Some(file.path().to_owned()),
        ..Inputs::default()
    };
    let errors = load_file(&inputs).unwrap_err();
    let expected = format!(
        "{}:2:7: this is not UTF-8 text: save the file as UTF-8",
        file.path().display()
    );
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn giving_one_key_of_a_section_leaves_the_others_alone() {
    let settings = loaded("[audit]\ndelivery = \"confirmed\"\n[audit.redact]\nenabled = true\n");
    let expected = AuditKeys {
        trail: TrailOptions {
            delivery: TrailDelivery::Confirmed,
            ..TrailOptions::default()
        },
        redact: RedactSettings {
            enabled: true,
            ..RedactSettings::default()
        },
        ..AuditKeys::default()
    };
    assert_eq!(settings.audit.keys, expected);
}

#[test]
fn zero_seconds_keep_audit_records_for_ever() {
    assert_eq!(loaded("audit.ttl_seconds = 0").audit.trail.ttl, None);
}

#[test]
fn a_provider_does_as_the_executor_does_unless_it_says_otherwise() {
    let settings = loaded(
        "[executor]\nmax_retries = 7\ntimeout_seconds = 9\n\
         [[providers]]\nname = \"a\"\ntype = \"log\"\nmax_retries = 1\nfallback_provider = \"b\"\n\
         [[providers]]\nname = \"b\"\ntype = \"log\"\n",
    );
    let [a, b] = settings.providers.as_slice() else {
        panic!("two providers were configured");
    };
    let attempts = &a.limits.attempts;
    assert_eq!(
        (attempts.max_retries, attempts.timeout),
        (1, Duration::from_secs(9))
    );
    let attempts = &b.limits.attempts;
    assert_eq!((attempts.max_retries, attempts.max_concurrent), (7, 100));
    assert_eq!(b.limits.queue, 1000);
    assert_eq!((a.name.as_str(), a.kind.as_str()), ("a", "log"));
    assert_eq!(a.limits.fallback_provider.as_deref(), Some("b"));
}

#[test]
fn the_admin_listener_takes_from_the_server_what_it_does_not_say() {
    let settings = loaded("[server]\nhost = \"0.0.0.0\"\n[admin]\nport = 9000\n");
    assert_eq!(
        settings.admin.listener(&settings.server),
        Some(("0.0.0.0", 9000))
    );
}

#[test]
fn a_source_has_our_keys_and_its_own() {
    let settings = loaded(
        "[[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"b:1\"\ntopics = [\"t\"]\n\
         group_id = \"g\"\nthrottled = \"drop\"\nmax_in_flight = 5\ndefaults = { tenant = \"t1\" }\n",
    );
    let source = &settings.sources[0];
    assert_eq!(source.throttled, acteon_core::ThrottledPolicy::Drop);
    assert_eq!(source.max_in_flight, Some(5));
    assert_eq!(source.defaults.tenant.as_deref(), Some("t1"));
    assert_eq!(source.defaults.namespace, None);
}

#[test]
fn the_schema_is_closed_and_knows_the_options_of_every_kind() {
    let registries = Registries::new();
    let schema = schema::<TestPipeline>(&registries.adapters());
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["server"]["properties"]["port"]["default"],
        8080
    );
    let provider = &schema["properties"]["providers"]["items"];
    assert_eq!(
        provider["properties"]["type"]["enum"],
        serde_json::json!([
            "amqp",
            "email",
            "http",
            "kafka",
            "log",
            "nats",
            "pagerduty",
            "slack",
            "strict",
            "webhook"
        ])
    );
    let webhook = &provider["allOf"][9];
    assert_eq!(webhook["if"]["properties"]["type"]["const"], "webhook");
    let auth = webhook["then"]["properties"]["auth"].to_string();
    assert!(auth.contains("#/$defs/provider.webhook.Auth"), "{auth}");
    assert!(schema["$defs"]["provider.webhook.Auth"].is_object());
    assert_eq!(
        schema["properties"]["audit"]["properties"]["ttl_seconds"]["default"],
        2_592_000
    );
}
