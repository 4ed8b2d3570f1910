//! Clauses about the listing of events.

use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::state::{EventFilter, EventQuery, EventValue};
use jiff::{SignedDuration, Timestamp};

use super::StateHarness;
use super::subject::*;
use crate::events::{Event, reserving, write_events};

fn everything() -> EventQuery {
    EventQuery {
        scope: Scope::everything(),
        filter: EventFilter::default(),
        after: None,
        limit: 100,
    }
}

/// The fingerprints that a query lists on all its pages.
async fn listed<H: StateHarness>(subject: &Subject<'_, H>, query: &EventQuery) -> Vec<String> {
    let mut query = query.clone();
    let mut names = Vec::new();
    loop {
        let page = subject.state.events(&query).await.expect("a page");
        assert!(page.events.len() <= query.limit);
        names.extend(page.events.iter().map(|e| e.event.fingerprint.to_string()));
        match page.next {
            None => return names,
            next => query.after = next,
        }
    }
}

/// Whatever the length of the pages. By id where the times are equal.
pub async fn events_are_listed_page_by_page_newest_first<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for number in 0..10_i64 {
        let mut write = event(&format!("e{number}"), &[]).write(0);
        let age = SignedDuration::from_micros(number / 3);
        write.record.updated_at = Timestamp::UNIX_EPOCH + age;
        subject.take(&reserving(write)).await;
    }
    let expected = ["e9", "e6", "e7", "e8", "e3", "e4", "e5", "e0", "e1", "e2"];
    for limit in [1, 2, 3, 5, 9, 10, 11] {
        let query = EventQuery {
            limit,
            ..everything()
        };
        assert_eq!(listed(&subject, &query).await, expected, "pages of {limit}");
    }
}

fn only(change: impl FnOnce(&mut EventFilter)) -> EventFilter {
    let mut filter = EventFilter::default();
    change(&mut filter);
    filter
}

fn value(name: &str, value: &str) -> EventValue {
    EventValue {
        name: name.into(),
        value: value.into(),
    }
}

/// By namespace and tenant as well.
pub async fn events_are_filtered_by_type_state_and_values<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let other = |name: &str, change: &dyn Fn(&mut Event)| {
        let mut event = event(name, &["db", "web"]);
        change(&mut event);
        event
    };
    let events = [
        event("a", &["db", "web"]),
        other("b", &|e| e.event_type = "incident".into()),
        other("c", &|e| e.state = "acknowledged".into()),
        other("d", &|e| e.values = vec!["web".into(), "db".into()]),
        other("e", &|e| e.tenant = "t2".into()),
        other("f", &|e| e.namespace = "ns2".into()),
    ];
    write_events(&*subject.state, &events)
        .await
        .expect("written");
    let swapped = vec![value("label 0", "web"), value("label 1", "db")];
    let filters = [
        (only(|_| {}), "abcdef"),
        (only(|filter| filter.namespace = Some("ns2".into())), "f"),
        (only(|filter| filter.tenant = Some("t1".into())), "abcdf"),
        (
            only(|filter| filter.event_type = Some("incident".into())),
            "b",
        ),
        (only(|filter| filter.state = Some("open".into())), "abdef"),
        (
            only(|filter| filter.values = vec![value("label 0", "db")]),
            "abcef",
        ),
        (only(|filter| filter.values = swapped), "d"),
        (
            only(|filter| filter.values = vec![value("label 2", "db")]),
            "",
        ),
    ];
    for (filter, expected) in filters {
        let query = EventQuery {
            filter,
            ..everything()
        };
        let mut found = listed(&subject, &query).await;
        found.sort();
        assert_eq!(found.concat(), expected, "{:?}", query.filter);
    }
}

/// Then it is forgotten.
pub async fn an_ended_event_is_listed_until_its_retention_has_passed<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let over = ended(&event("e", &[]), H::UNIT * 3);
    subject.write(&[event("f", &[]), over]).await;
    subject.pass(2.5).await;
    assert_eq!(listed(&subject, &everything()).await, ["e", "f"]);
    subject.pass(1.0).await;
    assert_eq!(listed(&subject, &everything()).await, ["f"]);
}

/// Neither in a listing nor by its id.
pub async fn no_caller_sees_an_event_outside_their_scope<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let known = event("e", &["db"]);
    subject.write(std::slice::from_ref(&known)).await;
    let scope = |namespace: &str, tenant: &str, action_type: &str| {
        let only = |name: &str| vec![Pattern::from(name)];
        Scope::new([ScopeGrant {
            tenants: only(tenant),
            namespaces: only(namespace),
            action_types: only(action_type),
        }])
    };
    let scopes = [
        (scope("ns", "t1", "outage"), true),
        (scope("n*", "*", "out*"), true),
        (scope("ns2", "t1", "outage"), false),
        (scope("ns", "t", "outage"), false),
        (scope("ns", "t1", "incident"), false),
        (Scope::new([]), false),
    ];
    for (scope, is_seen) in scopes {
        let found = subject.state.event(&scope, &known.id()).await;
        assert_eq!(found.expect("an answer").is_some(), is_seen, "{scope:?}");
        let query = EventQuery {
            scope,
            ..everything()
        };
        assert_eq!(!listed(&subject, &query).await.is_empty(), is_seen);
    }
    let unknown = event("other", &[]).id();
    let found = subject.state.event(&Scope::everything(), &unknown).await;
    assert_eq!(found.expect("an answer"), None);
}
