//! Groups in virtual time: what a provider gets, and when.

use super::passes;

const BY_CLUSTER: &str = "
rules:
  - name: by-cluster
    condition: { field: action.metadata.cluster, exists: true }
    action:
      type: group
      group_by: [metadata.cluster]
      provider: chat
      unless: { field: action.payload.quiet, eq: true }
      template: { text: \"{{ event_count }} in {{ labels.cluster }}\" }";

#[test]
fn a_group_is_one_call_after_its_wait() {
    passes(
        BY_CLUSTER,
        "
- at: 0s
  dispatch: { metadata: { cluster: prod }, payload: { pod: a } }
  expect: { outcome: Grouped, rule: by-cluster }
- at: 10s
  dispatch: { metadata: { cluster: prod }, payload: { pod: b } }
  expect: { outcome: Grouped }
- at: 20s
  dispatch: { metadata: { cluster: prod }, payload: { quiet: true } }
- at: 29s
  expect: { provider: chat, calls: 0 }
- at: 31s
  expect: { provider: chat, calls: 1, payload: { text: 2 in prod } }",
    );
}

#[test]
fn the_next_group_waits_for_the_interval_and_a_full_one_does_not() {
    passes(
        BY_CLUSTER,
        "
- at: 0s
  dispatch: { metadata: { cluster: prod } }
- at: 31s
  expect: { provider: chat, calls: 1 }
- at: 1m
  dispatch: { metadata: { cluster: prod } }
- at: 5m29s
  expect: { provider: chat, calls: 0 }
- at: 5m31s
  expect: { provider: chat, calls: 1 }
- at: 1h
  dispatch: { metadata: { cluster: prod } }
  times: 100
- at: 1h1s
  expect: { provider: chat, calls: 1, payload: { text: 100 in prod } }",
    );
}

#[test]
fn a_failed_flush_is_tried_again() {
    passes(
        BY_CLUSTER,
        "
- at: 0s
  given: { providers: { chat: [unavailable, unavailable, unavailable, unavailable, succeeds] } }
- at: 0s
  dispatch: { metadata: { cluster: prod } }
- at: 5m
  expect: { provider: chat, calls: 5, payload: { text: 1 in prod } }",
    );
}

#[test]
fn a_digest_is_sent_at_its_time_in_the_zone_of_its_rule() {
    let rules = "
rules:
  - name: digest
    timezone: Europe/Berlin
    condition: { all: [] }
    action: { type: group, group_by: [tenant], flush_at: [\"09:00\"], days: [Tuesday], provider: mail }";
    // It begins on a Monday at nine in UTC, which is ten in Berlin.
    passes(
        rules,
        "
- at: 0s
  dispatch: { payload: { n: 1 } }
  expect: { outcome: Grouped }
- at: 1h
  dispatch: { payload: { n: 2 } }
- at: 22h59m
  expect: { provider: mail, calls: 0 }
- at: 23h1m
  expect: { provider: mail, calls: 1, payload_has: { event_count: 2, events: [ { n: 1 }, { n: 2 } ] } }",
    );
}
