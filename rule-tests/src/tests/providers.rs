//! Providers that answer as a test specifies, with their configured retries and breakers.

use std::time::Duration;

use acteon_pipeline::{BreakerOptions, ProviderOptions};

use super::{configured, passes, run};

const NO_RULE: &str =
    "rules: [{ name: never, condition: { any: [] }, action: { type: suppress } }]";

const ONCE: &str = "
rules: [{ name: once, condition: { all: [] }, action: { type: deduplicate, key: [payload.order] } }]";

#[test]
fn a_failure_for_good_is_asked_once_and_one_for_now_again() {
    passes(
        NO_RULE,
        "
- at: 0s
  given: { providers: { log: fails } }
  dispatch: { payload: { n: 1 } }
  expect: { outcome: Failed, code: EXECUTION_FAILED, provider: log, payload: { n: 1 } }
- at: 0s
  expect: { provider: log, calls: 1 }
- at: 1m
  given: { providers: { log: unavailable } }
  dispatch: {}
  expect: { outcome: Failed, code: CONNECTION }
- at: 2m
  expect: { provider: log, calls: 4 }
- at: 2m
  given: { providers: { log: [succeeds, unavailable, unavailable, succeeds] } }
  dispatch: {}
  expect: { outcome: Executed }
- at: 2m
  dispatch: {}
  expect: { outcome: Executed }
- at: 3m
  expect: { provider: log, calls: 4 }
- at: 4m
  dispatch: {}
  expect: { outcome: Executed }",
    );
}

#[test]
fn what_hangs_runs_into_its_time_limit_while_the_timeline_goes_on() {
    passes(
        ONCE,
        "
- at: 0s
  given: { providers: { log: [hangs, succeeds] } }
  dispatch: { payload: { order: 1 } }
  expect: { outcome: Executed }
- at: 1s
  dispatch: { payload: { order: 2 } }
  expect: { outcome: Executed }
- at: 29s
  expect: { provider: log, calls: 2, payload: { order: 2 } }
- at: 31s
  expect: { provider: log, calls: 1, payload: { order: 1 } }",
    );
}

#[test]
fn what_is_under_way_at_the_end_is_waited_for() {
    passes(
        NO_RULE,
        "
- at: 0s
  given: { providers: { log: hangs } }
  dispatch: {}
  expect: { outcome: Failed, code: TIMEOUT }",
    );
}

#[test]
fn a_duplicate_of_what_is_under_way_does_not_overtake_it() {
    passes(
        ONCE,
        "
- at: 0s
  given: { providers: { log: [unavailable, succeeds] } }
  dispatch: { payload: { order: 1 } }
  expect: { outcome: Executed }
- at: 0s
  dispatch: { payload: { order: 1 } }
  expect: { outcome: Deduplicated }
- at: 1m
  expect: { provider: log, calls: 2 }",
    );
}

#[test]
fn breakers_and_fallbacks_are_those_that_are_configured() {
    let change = |options: &mut ProviderOptions| {
        options.max_retries = 0;
        options.timeout = Duration::from_secs(2);
        if options.name == "pager" {
            options.fallback = Some("spare".into());
            options.breaker = Some(BreakerOptions {
                failure_threshold: 2,
                success_threshold: 1,
                recovery_timeout: Duration::from_secs(60),
                ..BreakerOptions::default()
            });
        }
    };
    let tests = "
defaults: { namespace: n, tenant: t, provider: pager, action_type: a }
tests:
  - name: it
    given: { providers: { pager: hangs } }
    timeline:
      - { at: 0s, dispatch: {}, times: 2, expect: { outcome: Failed, code: TIMEOUT } }
      - { at: 3s, dispatch: {}, expect: { outcome: Rerouted, provider: spare, rule: null } }
      - { at: 4s, given: { providers: { spare: fails } }, dispatch: {}, expect: { outcome: Failed } }
      - { at: 5m, given: { providers: { pager: succeeds } } }
      - { at: 5m, dispatch: {}, expect: { outcome: Executed, provider: pager } }
      - { at: 5m, expect: [{ provider: pager, calls: 3 }, { provider: spare, calls: 2 }] }";
    let surroundings = configured(&["pager", "spare"], change);
    assert_eq!(run(NO_RULE, tests, surroundings).failures(), "");
}

#[test]
fn a_full_queue_sends_an_action_back_and_the_report_says_so() {
    let narrow = |options: &mut ProviderOptions| {
        (options.max_concurrent, options.queue, options.breaker) = (1, 1, None);
    };
    let tests = "
defaults: { namespace: n, tenant: t, provider: pager, action_type: a }
tests:
  - name: it
    given: { providers: { pager: hangs } }
    timeline:
      - { at: 0s, dispatch: {}, times: 5, expect: { outcome: Failed } }";
    let report = run(NO_RULE, tests, configured(&["pager"], narrow));
    let failure = &report.files[0].tests[0].failures[0];
    assert_eq!((failure.turn, failure.more), (Some((3, 5)), 2));
    assert_eq!(
        failure.mismatches[0].found,
        "none: it went back to its source, Overloaded"
    );
}
