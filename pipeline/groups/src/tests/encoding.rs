//! What is stored is read back, by later versions too.

use acteon_core::{Action, Caller, Labels};
use serde_json::json;

use super::{at, event};
use crate::{GroupEncodingError, GroupSettings, Member, SummaryTemplate};

fn member() -> Member {
    Member {
        action: Action {
            id: "a-1".into(),
            namespace: "shop".into(),
            tenant: "acme".into(),
            provider: "mail".into(),
            action_type: "alert".into(),
            payload: event(r#"{"pod":"a","long":12345678901234567890123}"#),
            labels: [("cluster", "prod")].into_iter().collect(),
            dedup_key: Some("d".into()),
            status: None,
            fingerprint: None,
            starts_at: Some("0001-01-01T00:00:00Z".parse().unwrap()),
            ends_at: None,
            created_at: at("2026-01-01T00:00:00Z").into(),
            trace_context: Labels::default(),
        },
        received_at: at("2026-01-01T00:00:00.25Z"),
        source: "kafka:orders/3@1042".into(),
        caller: Caller {
            id: Some("orders".into()),
            auth_method: "source",
        },
    }
}

fn settings() -> GroupSettings {
    GroupSettings {
        provider: "slack".into(),
        labels: [("cluster", "prod")].into_iter().collect(),
        template: Some(SummaryTemplate::new(json!({"text": "{{ event_count }}"}))),
    }
}

/// What version 1 wrote. Later versions must read it.
const MEMBER: &str = "\x01{\"action\":{\"id\":\"a-1\",\"namespace\":\"shop\",\"tenant\":\"acme\",\"provider\":\"mail\",\"action_type\":\"alert\",\"payload\":{\"pod\":\"a\",\"long\":12345678901234567890123},\"metadata\":{\"cluster\":\"prod\"},\"dedup_key\":\"d\",\"status\":null,\"fingerprint\":null,\"starts_at\":\"0001-01-01T00:00:00Z\",\"ends_at\":null,\"created_at\":\"2026-01-01T00:00:00Z\",\"trace_context\":{}},\"received_at\":\"2026-01-01T00:00:00.25Z\",\"source\":\"kafka:orders/3@1042\",\"caller_id\":\"orders\",\"auth_method\":\"source\"}";
const SETTINGS: &str = "\x01{\"provider\":\"slack\",\"labels\":{\"cluster\":\"prod\"},\"template\":{\"text\":\"{{ event_count }}\"}}";

#[test]
fn a_member_of_version_1_is_read_with_every_digit() {
    let read = Member::decode(MEMBER.as_bytes()).unwrap();
    assert_eq!(
        read.action.payload.as_bytes().as_ref(),
        br#"{"pod":"a","long":12345678901234567890123}"#
    );
    let again = Member::decode(&read.encode()).unwrap();
    assert_eq!(read, again);
    assert_eq!(String::from_utf8(read.encode()).unwrap(), MEMBER);
}

#[test]
fn a_member_is_read_back_as_it_was_written() {
    let member = member();
    let mut read = Member::decode(&member.encode()).unwrap();
    assert_eq!(read.caller, member.caller);
    read.action.payload = member.action.payload.clone();
    assert_eq!(read, member);
}

#[test]
fn settings_of_version_1_are_read_back_as_they_were_written() {
    assert_eq!(
        GroupSettings::decode(SETTINGS.as_bytes()).unwrap(),
        settings()
    );
    assert_eq!(String::from_utf8(settings().encode()).unwrap(), SETTINGS);
}

#[test]
fn bytes_of_a_later_version_and_damaged_ones_are_refused() {
    assert!(matches!(
        GroupSettings::decode(b""),
        Err(GroupEncodingError::Empty)
    ));
    assert!(matches!(
        GroupSettings::decode(b"\x02{}"),
        Err(GroupEncodingError::Version(2))
    ));
    assert!(matches!(
        GroupSettings::decode(b"\x01{"),
        Err(GroupEncodingError::Malformed(_))
    ));
    let unnamed = MEMBER.replace("\"tenant\":\"acme\",", "");
    assert!(matches!(
        Member::decode(unnamed.as_bytes()),
        Err(GroupEncodingError::Action(_))
    ));
}
