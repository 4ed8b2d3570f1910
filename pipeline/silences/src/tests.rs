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

fn set(silences: impl IntoIterator<Item = Silence>) -> SilenceSet {
    let stored = silences.into_iter().map(|silence| {
        Arc::new(StoredSilence {
            version: 1,
            silence,
        })
    });
    let (set, broken) = SilenceSet::new(stored.collect());
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
