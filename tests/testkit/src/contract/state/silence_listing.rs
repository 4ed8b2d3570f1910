//! Clauses about the listing of silences.

use acteon_core::scope::{Pattern, Scope, ScopeGrant};
use acteon_core::silence::{ACTION_TYPE, MatchOp, Silence, SilenceMatcher, SilencePhase};
use acteon_core::state::{EXPIRED_SILENCE_TTL, SilenceAnswer, SilenceQuery};
use jiff::SignedDuration;

use super::StateHarness;
use super::silences::{everything, finished, listed};
use super::subject::*;
use crate::records::silence;

/// Whatever the length of the pages and the order in which they were written. With a filter, those of every name are
/// among them in their order.
pub async fn silences_are_listed_page_by_page_newest_first<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    for number in [3, 0, 7, 1, 9, 2, 8, 5, 4, 6] {
        let mut written = silence(number);
        if number % 3 == 0 {
            written.tenant = "*".into();
        }
        if number % 5 == 0 {
            written = finished(written);
            written.ends_at = subject.now().await;
        }
        subject.silence(&written, 0).await;
    }
    let of_tenant = SilenceQuery {
        tenant: Some("t1".into()),
        ..everything()
    };
    let of_both = SilenceQuery {
        namespace: Some("ns".into()),
        ..of_tenant.clone()
    };
    let expected: Vec<u32> = (0..10).rev().collect();
    for limit in [1, 2, 3, 5, 9, 10, 11] {
        for query in [&everything(), &of_tenant, &of_both] {
            let mut query = query.clone();
            query.limit = limit;
            assert_eq!(listed(&subject, &query).await, expected, "{query:?}");
        }
    }
}

/// A silence of every name is one of each name, and the phase is that of the backend's time.
pub async fn silences_are_filtered_by_names_and_phase<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    let names = [
        ("ns", "t1"),
        ("ns", "t2"),
        ("ns2", "t1"),
        ("*", "t1"),
        ("ns", "*"),
        ("*", "*"),
    ];
    let times = [(-5, -1), (-5, 20), (20, 25)];
    for (number, (namespace, tenant)) in (0..).zip(names) {
        let (starts_in, ends_in) = times[number as usize % 3];
        let time = |units: i32| {
            let offset = SignedDuration::try_from(H::UNIT).expect("a short time");
            now + offset * units
        };
        let written = Silence {
            namespace: namespace.into(),
            tenant: tenant.into(),
            starts_at: time(starts_in),
            ends_at: time(ends_in),
            ..silence(number)
        };
        subject.silence(&written, 0).await;
    }
    let filtered = async |namespace: &str, tenant: &str, phase: Option<SilencePhase>| {
        let name = |name: &str| (!name.is_empty()).then(|| name.into());
        let query = SilenceQuery {
            namespace: name(namespace),
            tenant: name(tenant),
            phase,
            limit: 2,
            ..everything()
        };
        listed(&subject, &query).await
    };
    let expected: [(_, _, _, &[u32]); _] = [
        ("", "", None, &[5, 4, 3, 2, 1, 0]),
        ("ns", "", None, &[5, 4, 3, 1, 0]),
        ("", "t1", None, &[5, 4, 3, 2, 0]),
        ("ns2", "t1", None, &[5, 3, 2]),
        ("ns2", "t2", None, &[5]),
        ("*", "", None, &[5, 3]),
        ("", "*", None, &[5, 4]),
        ("ns3", "", None, &[5, 3]),
        ("", "", Some(SilencePhase::Expired), &[3, 0]),
        ("", "", Some(SilencePhase::Active), &[4, 1]),
        ("", "", Some(SilencePhase::Pending), &[5, 2]),
        ("", "t1", Some(SilencePhase::Active), &[4]),
        ("ns2", "", Some(SilencePhase::Expired), &[3]),
        ("ns2", "t2", Some(SilencePhase::Pending), &[5]),
    ];
    for (namespace, tenant, phase, numbers) in expected {
        let found = filtered(namespace, tenant, phase).await;
        assert_eq!(found, numbers, "{namespace} {tenant} {phase:?}");
    }
}

/// Then it is as if it had never been. One that is not finished stays, however long ago it ended.
pub async fn an_ended_silence_is_listed_for_a_week<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let now = subject.now().await;
    let ended = |number: u32, left: u32| Silence {
        ends_at: now - EXPIRED_SILENCE_TTL + H::UNIT * left,
        ..silence(number)
    };
    let told = ended(1, 3);
    let untold = Silence {
        ends_at: now - EXPIRED_SILENCE_TTL * 2,
        ..silence(2)
    };
    subject.silence(&told, 0).await;
    subject.silence(&untold, 0).await;
    subject.silence(&finished(told.clone()), 1).await;
    subject.pass(2.0).await;
    assert_eq!(listed(&subject, &everything()).await, [2, 1]);
    subject.pass(1.5).await;
    assert_eq!(listed(&subject, &everything()).await, [2]);
    assert_eq!(subject.find_silence(&told.id).await, None);
    let refused = subject.try_silence(&told, 2).await;
    assert_eq!(refused, SilenceAnswer::Conflict(None));
    for number in 10..20 {
        subject.silence(&silence(number), 0).await;
    }
    assert!(subject.find_silence(&untold.id).await.is_some());
    subject.silence(&finished(untold.clone()), 1).await;
    assert_eq!(subject.find_silence(&untold.id).await, None);
    subject.silence(&told, 0).await;
}

/// Neither in a listing nor by its id. One of every name is inside of every scope that covers some name.
pub async fn no_caller_sees_a_silence_outside_their_scope<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let exact = |value: &str| SilenceMatcher {
        name: ACTION_TYPE.into(),
        op: MatchOp::Equal,
        value: value.into(),
    };
    let names = [("ns", "t1"), ("ns", "*"), ("*", "t%_1"), ("*", "*")];
    for (number, (namespace, tenant)) in (0..).zip(names) {
        let mut written = silence(number);
        written.namespace = namespace.into();
        written.tenant = tenant.into();
        if number == 0 {
            written.matchers.push(exact("page"));
        }
        subject.silence(&written, 0).await;
    }
    let scope = |namespace: &str, tenant: &str, action_type: &str| {
        let only = |name: &str| vec![Pattern::from(name)];
        Scope::new([ScopeGrant {
            tenants: only(tenant),
            namespaces: only(namespace),
            action_types: only(action_type),
        }])
    };
    let nothing = Scope::new([ScopeGrant {
        tenants: Vec::new(),
        namespaces: vec![Pattern::Any],
        action_types: vec![Pattern::Any],
    }]);
    let scopes: [(_, &[u32]); _] = [
        (Scope::everything(), &[3, 2, 1, 0]),
        (scope("ns", "t1", "page"), &[3, 1, 0]),
        (scope("n*", "t*", "*"), &[3, 2, 1, 0]),
        (scope("ns", "t1", "mail"), &[3, 1]),
        (scope("ns2", "t1", "page"), &[3]),
        (scope("ns", "t2", "*"), &[3, 1]),
        (scope("other", "t%_1", "*"), &[3, 2]),
        (scope("other", "t%*", "*"), &[3, 2]),
        (Scope::new([]), &[]),
        (nothing, &[]),
    ];
    for (scope, numbers) in scopes {
        for number in 0..4 {
            let found = subject.state.silence(&scope, &silence(number).id).await;
            let is_found = found.expect("an answer").is_some();
            assert_eq!(is_found, numbers.contains(&number), "{scope:?} {number}");
        }
        let query = SilenceQuery {
            scope,
            limit: 1,
            ..everything()
        };
        assert_eq!(listed(&subject, &query).await, numbers, "{query:?}");
    }
}
