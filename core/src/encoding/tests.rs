use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::attempt::{AttemptRecord, DeliveryProgress};
use crate::dead_letter::DeadLetterAction;
use crate::outcome::{Failure, FailureCode, ProviderResponse};
use crate::silence::{MatchOp, SilenceMatcher};

/// A stored value of version 1.
macro_rules! version1 {
    ($name:literal) => {
        include_bytes!(concat!("version1/", $name)).as_slice()
    };
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn exhausted() -> DeadLetter {
    let attempt = AttemptRecord {
        at: at(1_700_000_001),
        provider: "mail".into(),
        status: Some(451),
        code: Some(FailureCode::RateLimited),
        duration_ms: 12,
        excerpt: Some("try \"later\"\nplease".into()),
    };
    let progress = DeliveryProgress {
        has_accepted: true,
        state: "mail 1".into(),
    };
    DeadLetter {
        id: "018bcfe5-6800-7707-8707-070707070707".into(),
        action: Some(DeadLetterAction {
            id: "a".into(),
            namespace: "ns".into(),
            tenant: "t1".into(),
            provider: "mail".into(),
            action_type: "notify é".into(),
            progress: Some(Box::new(progress)),
        }),
        code: "RATE_LIMITED".into(),
        message: "refused".into(),
        attempts: 7,
        history: vec![attempt],
        source: "kafka:orders/3@1042".into(),
        raw: Parked::new(Bytes::from_static(b"{\"id\": \"a\"}\n\xff\0")),
        created_at: at(1_700_000_002),
    }
}

fn poison() -> DeadLetter {
    DeadLetter {
        action: None,
        code: "INVALID_JSON".into(),
        attempts: 0,
        history: Vec::new(),
        raw: Parked::new(Bytes::new()),
        ..exhausted()
    }
}

fn state_changed(silenced_by: Option<&str>) -> ActionOutcome {
    ActionOutcome::StateChanged {
        fingerprint: "1470".into(),
        previous_state: "firing".into(),
        new_state: "acknowledged".into(),
        notify: silenced_by.is_none(),
        silenced_by: silenced_by.map(Into::into),
    }
}

fn outcomes() -> Vec<(&'static [u8], ActionOutcome)> {
    let mut response = ProviderResponse::success(&json!({"n": [1, 2.5, "é"]})).unwrap();
    response.headers = vec![("x-request-id".into(), "abc".into())];
    let failure = Failure {
        code: FailureCode::ExecutionFailed,
        message: "no such address".into(),
        retryable: false,
        attempts: 1,
    };
    let rerouted = ActionOutcome::Rerouted {
        original_provider: "a".into(),
        new_provider: "b".into(),
        response: response.clone(),
    };
    let suppressed = ActionOutcome::Suppressed {
        rule: "mute".into(),
    };
    let throttled = ActionOutcome::Throttled {
        retry_after: Duration::from_millis(1500),
    };
    vec![
        (version1!("executed"), ActionOutcome::Executed(response)),
        (version1!("rerouted"), rerouted),
        (version1!("failed"), ActionOutcome::Failed(failure)),
        (version1!("suppressed"), suppressed),
        (version1!("throttled"), throttled),
        (version1!("deduplicated"), ActionOutcome::Deduplicated(())),
        (version1!("state_changed"), state_changed(None)),
        (
            version1!("state_changed_silenced"),
            state_changed(Some("018bcfe5-6800-7707-8707-070707070707")),
        ),
    ]
}

#[test]
fn dead_letters_of_version_1_are_read_and_still_written_so() {
    let letters = [
        (version1!("exhausted"), exhausted()),
        (version1!("poison"), poison()),
    ];
    for (stored, letter) in letters {
        let written = encode_dead_letter(&letter).unwrap();
        assert_eq!(decode_dead_letter(&written).unwrap(), letter);
        assert_eq!(
            written.escape_ascii().to_string(),
            stored.escape_ascii().to_string()
        );
        assert_eq!(decode_dead_letter(stored).unwrap(), letter);
    }
}

/// An active event, and an ended one without a body.
fn events() -> [(&'static [u8], EventRecord); 2] {
    let value = |name: &str, value: &str| EventValue {
        name: name.into(),
        value: value.into(),
    };
    let active = EventRecord {
        event_type: "cluster_down".into(),
        state: "firing".into(),
        phase: EventPhase::Active,
        values: vec![value("cluster", "eu-1"), value("metadata.cluster", "é\n")],
        ended: None,
        updated_at: at(1_700_000_003),
        body: Bytes::from_static(b"{\"version\":1}\n\xff\0"),
    };
    let ended = EventRecord {
        state: "resolved".into(),
        phase: EventPhase::Ended(Duration::from_millis(86_400_500)),
        values: Vec::new(),
        ended: Some(EventEnd {
            at: at(1_700_000_002),
            from: "firing".into(),
        }),
        body: Bytes::new(),
        ..active.clone()
    };
    [
        (version1!("event_active"), active),
        (version1!("event_ended"), ended),
    ]
}

#[test]
fn events_of_version_1_are_read_and_still_written_so() {
    for (stored, event) in events() {
        let written = encode_event(&event).unwrap();
        assert_eq!(
            written.escape_ascii().to_string(),
            stored.escape_ascii().to_string()
        );
        assert_eq!(decode_event(stored).unwrap(), event);
    }
}

fn silence() -> Silence {
    let matcher = |name: &str, op, value: &str| SilenceMatcher {
        name: name.into(),
        op,
        value: value.into(),
    };
    Silence {
        id: "018bcfe5-6800-7707-8707-070707070707".into(),
        namespace: "ns".into(),
        tenant: "*".into(),
        matchers: vec![
            matcher("action_type", MatchOp::Equal, "page \"é\""),
            matcher("cluster", MatchOp::NotEqual, ""),
            matcher("provider", MatchOp::Matches, "mail|sms\\d+"),
            matcher("team", MatchOp::MatchesNot, "db\n"),
        ],
        starts_at: at(1_700_000_003),
        ends_at: at(1_700_000_004) + Duration::from_nanos(1),
        comment: "maintenance".into(),
        created_by: "key:ops".into(),
        created_at: at(1_700_000_000),
        updated_at: at(1_700_000_002),
        is_finished: true,
    }
}

#[test]
fn silences_of_version_1_are_read_and_still_written_so() {
    let stored = version1!("silence");
    let written = encode_silence(&silence()).unwrap();
    assert_eq!(
        written.escape_ascii().to_string(),
        stored.escape_ascii().to_string()
    );
    assert_eq!(decode_silence(stored).unwrap(), silence());
    for cut in 0..stored.len() {
        assert!(decode_silence(&stored[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn outcomes_of_version_1_are_read_and_still_written_so() {
    for (stored, outcome) in outcomes() {
        let written = encode_outcome(&outcome).unwrap();
        assert_eq!(
            written.escape_ascii().to_string(),
            stored.escape_ascii().to_string()
        );
        let read = decode_outcome(stored).unwrap();
        assert_eq!(encode_outcome(&read).unwrap(), stored);
    }
}

#[test]
fn bytes_of_another_version_and_cut_ones_are_refused() {
    let mut later = encode_outcome(&ActionOutcome::Deduplicated(())).unwrap();
    later[0] = 2;
    let unknown = decode_outcome(&later).unwrap_err();
    assert!(matches!(unknown, EncodingError::UnknownVersion(2)));
    let letter = encode_dead_letter(&exhausted()).unwrap();
    let json = letter.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 0..json {
        assert!(decode_dead_letter(&letter[..cut]).is_err(), "{cut}");
        assert!(decode_outcome(&letter[..cut]).is_err(), "{cut}");
    }
    let event = encode_event(&events()[0].1).unwrap();
    let json = event.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 0..json {
        assert!(decode_event(&event[..cut]).is_err(), "{cut}");
    }
}
