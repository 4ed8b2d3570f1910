use super::*;

#[test]
fn a_breaker_differs_for_one_provider_only_where_it_says_so() {
    let options: CircuitBreakerOptions = serde_json::from_str(
        r#"{
            "success_threshold": 3,
            "providers": {
                "a": { "failure_threshold": 9, "recovery_timeout_seconds": 1 },
                "b": { "enabled": false }
            }
        }"#,
    )
    .unwrap();
    let expected = |failure_threshold, seconds| BreakerOptions {
        failure_threshold,
        success_threshold: 3,
        recovery_timeout: Duration::from_secs(seconds),
        ..BreakerOptions::default()
    };
    assert_eq!(options.for_provider("a"), Some(expected(9, 1)));
    assert_eq!(options.for_provider("b"), None);
    assert_eq!(options.for_provider("c"), Some(expected(5, 60)));
}

#[test]
fn a_redelivery_schedule_differs_for_one_provider_only_where_it_says_so() {
    let options: RedeliverySchedules = serde_json::from_str(
        r#"{ "schedule_seconds": [1, 2], "providers": { "a": { "give_up_after_seconds": 7 } } }"#,
    )
    .unwrap();
    let expected = |seconds| RedeliveryOptions {
        schedule: [1, 2].map(Duration::from_secs).into(),
        give_up_after: Duration::from_secs(seconds),
    };
    assert_eq!(options.for_provider("a"), expected(7));
    assert_eq!(options.for_unknown_provider(), expected(86_400));
}

#[test]
fn every_section_may_be_absent() {
    let sections: PipelineSections = serde_json::from_str("{}").unwrap();
    assert_eq!(sections, PipelineSections::default());
}
