//! Clauses about rule toggles: an operator's override holds on every node.

use acteon_core::State;

use super::StateHarness;
use super::subject::Subject;

async fn toggles(state: &dyn State) -> Vec<(String, bool)> {
    let toggles = state.rule_toggles().await.expect("an answer");
    let mut toggles: Vec<_> = toggles
        .into_iter()
        .map(|(name, enabled)| (name.to_string(), enabled))
        .collect();
    toggles.sort();
    toggles
}

/// The last call wins, for every instance, and after a restart if the backend is durable.
pub async fn a_toggle_holds_until_it_is_set_anew<H: StateHarness>(harness: &H) {
    let state = Subject::of(harness).await.state;
    assert!(toggles(&*state).await.is_empty());
    for (name, enabled) in [("a", false), ("b", true), ("a", true), ("é 'x'", false)] {
        state.set_rule_enabled(name, enabled).await.expect("set");
        state
            .set_rule_enabled(name, enabled)
            .await
            .expect("set again");
    }
    let expected = [("a", true), ("b", true), ("é 'x'", false)];
    let expected = expected.map(|(name, enabled)| (name.to_owned(), enabled));
    assert_eq!(toggles(&*state).await, expected);
    assert_eq!(toggles(&*harness.peer().await).await, expected);
    if state.capabilities().durable {
        assert_eq!(toggles(&*harness.reopened().await).await, expected);
    }
}
