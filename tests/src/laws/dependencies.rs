//! Which crate may depend on which: `server -> {families, pipeline, admin-api, config} -> core`, and inside a family
//! `facade -> adapters -> kit -> core`. Additional dependencies of tests are listed separately.

use super::house::{Crate, House, Need, When};
use super::{Violation, assert_kept, places};

/// The role of a crate in the workspace, by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role<'a> {
    Core,
    Config,
    /// Connection options and API conventions shared by two families.
    Connect,
    /// TLS of a client, for all that connect.
    Tls,
    Rules,
    /// Templates, which groups, providers and sinks have.
    Templates,
    /// The pure parts of decisions beside rules: state machines, groups and silences.
    Decisions,
    Pipeline,
    /// Runs rule tests through the pipeline.
    RuleTests,
    AdminApi,
    Server,
    Facade(&'a str),
    Adapter(&'a str),
    Kit(&'a str),
    /// A client library. It knows the wire, not the workspace.
    Client,
    Testkit,
    Services,
    /// Crates that run the whole system (end-to-end tests, simulation, benches, the demo) or pack it.
    Outside,
}

fn role(folder: &str) -> Option<Role<'_>> {
    let parts: Vec<&str> = folder.split('/').collect();
    Some(match parts[..] {
        ["core"] => Role::Core,
        ["config"] => Role::Config,
        ["connect", "tls"] => Role::Tls,
        ["connect", _] => Role::Connect,
        ["pipeline", "rules"] => Role::Rules,
        ["pipeline", "machines" | "groups" | "silences"] => Role::Decisions,
        ["pipeline"] => Role::Pipeline,
        ["templates"] => Role::Templates,
        ["rule-tests"] => Role::RuleTests,
        ["admin-api"] => Role::AdminApi,
        ["server"] => Role::Server,
        [family @ ("ingest" | "sinks" | "backends")] => Role::Facade(family),
        [family @ ("ingest" | "sinks" | "backends"), "kit"] => Role::Kit(family),
        [family @ ("ingest" | "sinks" | "backends"), _] => Role::Adapter(family),
        ["clients", _] => Role::Client,
        ["tests", "testkit"] => Role::Testkit,
        ["tests", "services"] => Role::Services,
        ["dist"] | ["tests"] | ["tests", "bench" | "demo" | "simulation" | "fuzz"] => Role::Outside,
        _ => return None,
    })
}

/// Allowed dependencies of every build.
fn allows(who: Role<'_>, needed: Role<'_>) -> bool {
    match (who, needed) {
        (Role::Core | Role::Client | Role::Services, _) => false,
        (_, Role::Core) | (Role::Outside, _) => true,
        (Role::Adapter(family), Role::Kit(other)) => family == other,
        (Role::Facade(family), Role::Adapter(other)) => family == other,
        (Role::Adapter(family), Role::Templates) => family == "sinks",
        (Role::Adapter(_) | Role::AdminApi, Role::Connect)
        | (Role::Connect | Role::Kit(_), Role::Tls)
        | (Role::Decisions | Role::Pipeline, Role::Templates)
        | (Role::Rules, Role::Decisions)
        | (Role::Pipeline, Role::Rules | Role::Decisions)
        | (Role::RuleTests, Role::Pipeline | Role::Rules | Role::Decisions) => true,
        (Role::Server, needed) => matches!(
            needed,
            Role::Config
                | Role::Connect
                | Role::Facade(_)
                | Role::Pipeline
                | Role::Templates
                | Role::Rules
                | Role::Decisions
                | Role::RuleTests
                | Role::AdminApi
        ),
        _ => false,
    }
}

/// Additional dependencies allowed in tests: the contracts, the real services, the memory backend where a port needs an
/// implementation, and the pipeline's sections where the configuration is read.
fn allows_testing(who: Role<'_>, needed: Role<'_>, folder: &str) -> bool {
    let contracts = matches!(needed, Role::Testkit | Role::Services)
        && !matches!(who, Role::Core | Role::Testkit | Role::Services);
    let memory = folder == "backends/memory"
        && matches!(who, Role::Pipeline | Role::AdminApi | Role::Server);
    let sections = (who, needed) == (Role::Config, Role::Pipeline);
    contracts || memory || sections
}

/// Crates that may name a certain adapter although it belongs to a family. The HTTP source does not listen: the server
/// mounts its routes on a listener. Rule tests need state behind the pipeline that disappears with
/// the test.
const EXCEPTIONS: &[(&str, &str)] = &[("server", "ingest/http"), ("rule-tests", "backends/memory")];

fn check(krate: &Crate) -> Vec<Violation> {
    let manifest = format!("{}/Cargo.toml", krate.folder);
    let Some(who) = role(&krate.folder) else {
        let law = "a crate has a role: add its folder to `role` in tests/src/laws/dependencies.rs";
        return vec![Violation::of(&manifest, law)];
    };
    let ours = krate
        .needs
        .iter()
        .filter_map(|need| Some((need, need.folder.as_deref()?)));
    let broken = ours.filter(|(need, folder)| {
        let Some(needed) = role(folder) else {
            return true;
        };
        let excepted = EXCEPTIONS.contains(&(krate.folder.as_str(), *folder));
        let always = allows(who, needed) || excepted;
        let testing = need.when == When::Testing && allows_testing(who, needed, folder);
        !always && !testing
    });
    broken
        .map(|(need, _)| Violation::of(&manifest, sentence(who, need)))
        .collect()
}

fn sentence(who: Role<'_>, need: &Need) -> String {
    let law = match who {
        Role::Core => "core depends on no crate of ours",
        Role::Client => "a client knows the wire contract, not the server's crates",
        Role::Kit(_) => "a kit depends on core and connect/tls only",
        Role::Adapter(_) => {
            "an adapter depends on core, its family's kit, connect/ and, if it is a sink, templates, never on an adapter"
        }
        Role::Facade(_) => "a facade depends on core and its own adapters",
        Role::Rules => "rules depend on core, machines and groups",
        Role::Decisions => "this crate depends on core and templates only",
        Role::Connect => "this crate depends on core and connect/tls only",
        Role::Templates | Role::Config | Role::Tls => "this crate depends on core only",
        Role::Pipeline => "pipeline sees ports only: core, rules, machines, groups and templates",
        Role::RuleTests => {
            "rule tests use pipeline, rules, machines, groups and memory, and nothing else"
        }
        Role::AdminApi => "admin-api sees ports only: core and connect/",
        Role::Server => {
            "the server composes facades, pipeline, rules, machines, templates, rule tests, admin-api and config"
        }
        Role::Testkit => "testkit depends on core only: contracts know no implementation",
        Role::Services => "services start third-party servers and depend on no crate of ours",
        Role::Outside => "this crate has no role",
    };
    let when = match need.when {
        When::Always => "needs",
        When::Testing => "needs for its tests",
    };
    format!("{law}, but this one {when} {}", need.name)
}

#[test]
fn dependencies_flow_from_the_server_down_to_core() {
    let house = House::read();
    let violations: Vec<_> = house.crates.iter().flat_map(check).collect();
    assert_kept(&violations);
    for (who, needed) in EXCEPTIONS {
        let mut crates = house.crates.iter().filter(|krate| krate.folder == *who);
        let is_used = crates.any(|krate| {
            let mut folders = krate.needs.iter().map(|need| need.folder.as_deref());
            folders.any(|folder| folder == Some(needed))
        });
        assert!(is_used, "the exception {who} -> {needed} can go");
    }
}

fn sample(folder: &str, needs: &[(&str, When)]) -> Crate {
    let need = |(folder, when): &(&str, When)| Need {
        name: format!("acteon-{}", folder.replace('/', "-")),
        when: *when,
        folder: Some((*folder).to_owned()),
    };
    Crate {
        name: String::new(),
        folder: folder.to_owned(),
        needs: needs.iter().map(need).collect(),
    }
}

#[test]
fn a_dependency_in_the_wrong_direction_is_found() {
    use When::{Always, Testing};
    let wrong = [
        ("core", "config", Always),
        ("core", "tests/testkit", Testing),
        ("pipeline", "backends/memory", Always),
        ("pipeline", "sinks/webhook", Testing),
        ("pipeline", "rule-tests", Testing),
        ("rule-tests", "sinks/log", Always),
        ("rule-tests", "config", Always),
        ("admin-api", "pipeline", Always),
        ("ingest/kafka", "sinks/kafka", Always),
        ("ingest/kafka", "sinks/kit", Always),
        ("ingest/kafka", "backends/memory", Testing),
        ("ingest/kafka", "tests/testkit", Always),
        ("ingest/kafka", "templates", Always),
        ("templates", "sinks/kit", Always),
        ("sinks/kit", "sinks/log", Testing),
        ("sinks/kit", "connect/http", Always),
        ("connect/tls", "connect/kafka", Always),
        ("sinks", "sinks/kit", Always),
        ("sinks", "ingest/http", Always),
        ("pipeline/rules", "pipeline", Always),
        ("pipeline/machines", "pipeline/rules", Always),
        ("connect/http", "connect/kafka", Always),
        ("config", "sinks", Always),
        ("config", "pipeline", Always),
        ("server", "sinks/webhook", Always),
        ("tests/testkit", "backends/memory", Testing),
        ("clients/rust", "core", Always),
    ];
    for (who, needed, when) in wrong {
        let found = check(&sample(who, &[(needed, when)]));
        assert_eq!(
            places(&found),
            [format!("{who}/Cargo.toml")],
            "{who} -> {needed}"
        );
    }
    assert_eq!(
        places(&check(&sample("sundries", &[]))),
        ["sundries/Cargo.toml"]
    );
}

#[test]
fn a_dependency_in_the_right_direction_is_not() {
    use When::{Always, Testing};
    let right = [
        ("server", "ingest", Always),
        ("server", "ingest/http", Always),
        ("ingest", "ingest/kafka", Always),
        ("ingest/kafka", "ingest/kit", Always),
        ("ingest/kafka", "connect/kafka", Always),
        ("ingest/kafka", "tests/services", Testing),
        ("ingest/kit", "core", Always),
        ("sinks/kit", "connect/tls", Always),
        ("connect/nats", "connect/tls", Always),
        ("pipeline", "pipeline/rules", Always),
        ("pipeline", "pipeline/machines", Always),
        ("pipeline", "templates", Always),
        ("pipeline/groups", "templates", Always),
        ("sinks/http", "templates", Always),
        ("pipeline", "backends/memory", Testing),
        ("config", "pipeline", Testing),
        ("rule-tests", "pipeline", Always),
        ("rule-tests", "backends/memory", Always),
        ("server", "rule-tests", Always),
        ("admin-api", "connect/http", Always),
        ("tests/testkit", "core", Always),
        ("tests/simulation", "backends/memory", Always),
    ];
    for (who, needed, when) in right {
        assert_kept(&check(&sample(who, &[(needed, when)])));
    }
}
