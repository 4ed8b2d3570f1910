//! What silences may be, and what they withhold.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Labels;
use acteon_core::silence::{MatchOp, Silence, SilenceMatcher, SilenceSubject};
use acteon_core::silence_admin::NewSilence;
use acteon_core::state::StoredSilence;
use jiff::Timestamp;

use crate::{CompiledSilence, SilenceBounds, SilenceSet, check, check_end};

/// A matcher: its name, its operator and its value.
type Written<'a> = (&'a str, &'a str, &'a str);

const BOUNDS: SilenceBounds = SilenceBounds {
    duration_max: Duration::from_secs(31 * 86_400),
    live_max: 1000,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn matcher((name, op, value): (&str, &str, &str)) -> SilenceMatcher {
    SilenceMatcher {
        name: name.into(),
        op: match op {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Matches,
            _ => MatchOp::MatchesNot,
        },
        value: value.into(),
    }
}

fn asked(matchers: &[(&str, &str, &str)]) -> NewSilence {
    NewSilence {
        namespace: "ns".into(),
        tenant: "t".into(),
        matchers: matchers.iter().copied().map(matcher).collect(),
        starts_at: None,
        ends_at: at(3600),
        comment: "upgrade".into(),
    }
}

fn silence(
    id: &str,
    names: (&str, &str),
    times: (i64, i64),
    matchers: &[(&str, &str, &str)],
) -> Silence {
    Silence {
        id: id.into(),
        namespace: names.0.into(),
        tenant: names.1.into(),
        matchers: matchers.iter().copied().map(matcher).collect(),
        starts_at: at(times.0),
        ends_at: at(times.1),
        comment: "".into(),
        created_by: "amy".into(),
        created_at: at(0),
        updated_at: at(0),
        is_finished: false,
    }
}

fn stored(silence: Silence) -> Arc<StoredSilence> {
    Arc::new(StoredSilence {
        version: 1,
        silence,
    })
}

fn set(silences: impl IntoIterator<Item = Silence>) -> SilenceSet {
    let silences = silences.into_iter().map(stored).collect();
    let (set, broken) = SilenceSet::default().renewed(silences, at(-10));
    assert!(broken.is_empty());
    set
}

/// The field of the mistake, or `ok`.
fn field(asked: &NewSilence) -> String {
    match check(asked, at(0), BOUNDS) {
        Ok(_) => "ok".to_owned(),
        Err(problem) => problem.field,
    }
}

/// What is wrong.
fn message(asked: &NewSilence) -> String {
    check(asked, at(0), BOUNDS).unwrap_err().message
}

#[test]
fn a_matcher_compares_the_whole_value_and_takes_an_absent_label_for_an_empty_one() {
    let labels: Labels = [("env", "prod"), ("host", "db-1")].into_iter().collect();
    let subject = SilenceSubject {
        namespace: "ns",
        tenant: "t",
        provider: "mail",
        action_type: "alert",
        labels: &labels,
    };
    let cases = [
        (("env", "=", "prod"), true),
        (("env", "=", "pro"), false),
        (("env", "!=", "test"), true),
        (("env", "=~", "pro"), false),
        (("env", "=~", "pro."), true),
        (("env", "=~", "test|prod"), true),
        (("env", "=~", "(?x)te st | pr od # the ones ) ("), true),
        (("env", "=~", "(?x)pr # the first letters"), false),
        (("env", "=~", "prod # no comment"), false),
        (("host", "!~", "db-.*"), false),
        (("host", "!~", "web-.*"), true),
        (("absent", "=", ""), true),
        (("absent", "!=", "x"), true),
        (("absent", "=~", ".+"), false),
        (("provider", "=", "mail"), true),
        (("action_type", "=~", "al.*"), true),
        (("namespace", "=", "ns"), false),
    ];
    for (one, expected) in cases {
        let silence = silence("s", ("ns", "t"), (0, 10), &[one]);
        let compiled = CompiledSilence::of(&silence).unwrap();
        assert_eq!(compiled.matches(&subject), expected, "{one:?}");
    }
}

#[test]
fn all_matchers_must_hold_and_the_names_must_be_those_of_the_action() {
    let labels: Labels = [("env", "prod")].into_iter().collect();
    let subject = |namespace, tenant| SilenceSubject {
        namespace,
        tenant,
        provider: "mail",
        action_type: "alert",
        labels: &labels,
    };
    let both = [("env", "=", "prod"), ("provider", "=", "page")];
    let compiled = CompiledSilence::of(&silence("s", ("ns", "t"), (0, 10), &both)).unwrap();
    assert!(!compiled.matches(&subject("ns", "t")));
    let one = [("env", "=", "prod")];
    for (names, expected) in [
        (("ns", "t"), [true, false, false]),
        (("*", "t"), [true, true, false]),
        (("ns", "*"), [true, false, true]),
        (("*", "*"), [true, true, true]),
    ] {
        let compiled = CompiledSilence::of(&silence("s", names, (0, 10), &one)).unwrap();
        let found = [("ns", "t"), ("other", "t"), ("ns", "other")]
            .map(|(namespace, tenant)| compiled.matches(&subject(namespace, tenant)));
        assert_eq!(found, expected, "{names:?}");
    }
}

#[test]
fn of_several_silences_the_one_that_ends_last_is_named_while_it_is_in_force() {
    let env = [("env", "=", "prod")];
    let set = set([
        silence("short", ("ns", "t"), (0, 10), &env),
        silence("long", ("*", "t"), (5, 30), &env),
        silence("other", ("ns", "u"), (0, 99), &env),
    ]);
    let labels: Labels = [("env", "prod")].into_iter().collect();
    let subject = SilenceSubject {
        namespace: "ns",
        tenant: "t",
        provider: "mail",
        action_type: "alert",
        labels: &labels,
    };
    let found = |second| {
        let found = set.find(&subject, at(second))?;
        Some(found.silence.id.to_string())
    };
    assert_eq!(found(-1), None);
    assert_eq!(found(0).as_deref(), Some("short"));
    assert_eq!(found(5).as_deref(), Some("long"));
    assert_eq!(found(29).as_deref(), Some("long"));
    assert_eq!(found(30), None);
}

#[test]
fn mistakes_are_named_with_their_field() {
    let ok = ("env", "=", "prod");
    assert_eq!(field(&asked(&[ok])), "ok");
    let long = "x".repeat(1025);
    let many = vec![ok; 33];
    let cases: &[(&[Written<'_>], &str)] = &[
        (&[], "matchers"),
        (&many, "matchers"),
        (&[("env", "!=", "prod")], "matchers"),
        (&[("env", "=~", "(prod)?")], "matchers"),
        (&[("env", "=", "")], "matchers"),
        (&[ok, ("env", "=", "test")], "matchers[1]"),
        (&[ok, ("", "=", "x")], "matchers[1].name"),
        (&[ok, ("a", "=", &long)], "matchers[1].value"),
        (&[("env", "=~", "(")], "matchers[0].value"),
        (&[("env", "=~", "a)|(b")], "matchers[0].value"),
        (&[("env", "=~", "(a{1000}){1000}")], "matchers[0].value"),
        (&[ok, ok], "ok"),
        (&[("provider", "=", "mail")], "ok"),
    ];
    for (matchers, expected) in cases {
        assert_eq!(field(&asked(matchers)), *expected, "{matchers:?}");
    }
    let nameless = NewSilence {
        tenant: "".into(),
        ..asked(&[ok])
    };
    assert_eq!(field(&nameless), "tenant");
    let talkative = NewSilence {
        comment: "x".repeat(4097).into(),
        ..asked(&[ok])
    };
    assert_eq!(field(&talkative), "comment");
}

#[test]
fn a_name_is_whole_or_a_lone_asterisk() {
    let named = |name: &str| NewSilence {
        namespace: name.into(),
        ..asked(&[("env", "=", "prod")])
    };
    for (name, expected) in [
        ("*", "ok"),
        ("café 1", "ok"),
        ("a\u{1}", "namespace"),
        ("sh*", "namespace"),
        ("**", "namespace"),
    ] {
        assert_eq!(field(&named(name)), expected, "{name:?}");
    }
    assert_eq!(
        message(&named("sh*")),
        "\"sh*\" is no name; only \"*\" alone is a wildcard, for all"
    );
}

#[test]
fn regular_expressions_are_bounded_each_and_together() {
    let names: Vec<_> = (0..31).map(|number| format!("l{number}")).collect();
    let all = |pattern| {
        let matchers = names.iter().map(|name| (name.as_str(), "=~", pattern));
        asked(&matchers.collect::<Vec<_>>())
    };
    assert_eq!(field(&all("Disk-[0-9]+.*")), "ok");
    assert_eq!(field(&asked(&[("env", "=~", "\\w+")])), "ok");
    let together = all("\\w+");
    assert_eq!(field(&together), "matchers");
    assert!(message(&together).contains("more than 512 KiB"));
    for pattern in ["\\w+/\\w+", ".{1,63}", "[^/]{1,63}", "\\w+-\\d{1,3}"] {
        assert_eq!(field(&asked(&[("env", "=~", pattern)])), "ok", "{pattern}");
    }
    let large = asked(&[("env", "=~", "\\w{200}")]);
    assert_eq!(field(&large), "matchers[0].value");
    assert!(message(&large).contains("more than 256 KiB"));
}

#[test]
fn what_has_ended_is_kept_without_its_expressions_and_the_rest_is_compiled_once() {
    let broken = [("env", "=~", "(")];
    let env = [("env", "=~", "pr.d")];
    let silences = [
        silence("ended", ("ns", "t"), (0, 10), &broken),
        silence("active", ("ns", "t"), (0, 30), &env),
        silence("broken", ("ns", "t"), (0, 30), &broken),
    ];
    let silences: Vec<_> = silences.into_iter().map(stored).collect();
    let (first, refused) = SilenceSet::default().renewed(silences.clone(), at(10));
    assert_eq!(refused, ["broken"]);
    assert_eq!(first.all(), silences);
    let mut longer = silence("active", ("ns", "t"), (0, 50), &env);
    longer.comment = "longer".into();
    let other = silence("active", ("ns", "t"), (0, 50), &[("env", "=", "test")]);
    for (changed, expected) in [(longer, true), (other, false)] {
        let (next, _) = first.renewed(vec![stored(changed)], at(10));
        let labels: Labels = [("env", "prod")].into_iter().collect();
        let subject = SilenceSubject {
            namespace: "ns",
            tenant: "t",
            provider: "mail",
            action_type: "alert",
            labels: &labels,
        };
        assert_eq!(next.find(&subject, at(40)).is_some(), expected);
    }
    let (over, _) = first.renewed(silences, at(30));
    assert!(over.is_empty());
    assert_eq!(over.all().len(), 3);
}

#[test]
fn a_duration_is_shown_in_its_largest_whole_unit() {
    for (seconds, expected) in [
        (31 * 86_400, "31 days"),
        (86_400, "1 day"),
        (90_000, "25 hours"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (1, "1 second"),
    ] {
        let bounds = SilenceBounds {
            duration_max: Duration::from_secs(seconds),
            ..BOUNDS
        };
        let problem = check_end(at(0), at(86_400 * 40), at(0), bounds).unwrap_err();
        let message = format!("a silence may last at most {expected}");
        assert_eq!(problem.message, message);
    }
}

#[test]
fn a_silence_begins_now_unless_its_start_is_more_than_a_minute_ahead_and_lasts_31_days_at_most() {
    let with = |starts_at, ends_at| {
        let asked = NewSilence {
            starts_at,
            ends_at,
            ..asked(&[("env", "=", "prod")])
        };
        check(&asked, at(0), BOUNDS).map_err(|problem| problem.field)
    };
    let days = |days: i64| at(days * 86_400);
    assert_eq!(with(None, at(1)), Ok(at(0)));
    assert_eq!(with(Some(at(-500)), at(1)), Ok(at(0)));
    assert_eq!(with(Some(at(60)), at(61)), Ok(at(0)));
    assert_eq!(with(Some(at(61)), at(62)), Ok(at(61)));
    assert_eq!(with(Some(at(70)), at(70)), Err("ends_at".into()));
    assert_eq!(with(None, at(0)), Err("ends_at".into()));
    assert_eq!(with(None, days(31)), Ok(at(0)));
    assert_eq!(with(None, days(32)), Err("ends_at".into()));
    assert_eq!(with(Some(days(10)), days(41)), Ok(days(10)));
    assert_eq!(with(Some(days(400)), days(401)), Err("starts_at".into()));
    let extended = check_end(at(0), days(50), days(20), BOUNDS);
    assert_eq!(extended, Ok(()));
}
