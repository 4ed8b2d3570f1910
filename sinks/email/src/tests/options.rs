//! Options that cannot work.

use acteon_core::{Registry, Sinks};
use serde_json::{Value, json};

use super::{PASSWORD, build, with};
use crate::{Email, EmailConfig};

fn least() -> Value {
    json!({"from_address": "alerts@example.com", "smtp_host": "mail.example.com", "tls": "none"})
}

/// Builds with each of these options, and compares the beginning of the error.
async fn assert_refused(cases: impl IntoIterator<Item = (Value, &str)>) {
    for (options, expected) in cases {
        let error = build(with(least(), options.clone())).await.err();
        let error = error
            .unwrap_or_else(|| panic!("{options} works"))
            .to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn errors_name_the_option() {
    let missing = "/there/is/no/such/file";
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_refused([
        (
            json!({"from_address": "alerts"}),
            "`from_address`: must be an address",
        ),
        (
            json!({"from_address": "a@x.test\r\nb"}),
            "`from_address`: must be an address",
        ),
        (
            json!({"smtp_host": "smtp://mail"}),
            "`smtp_host`: must be a host name",
        ),
        (
            json!({"smtp_host": "10.0.0.1"}),
            "`smtp_host`: 10.0.0.1 is a private address",
        ),
        (
            json!({"smtp_host": "::1"}),
            "`smtp_host`: ::1 is the loopback address",
        ),
        (
            json!({"allow_cidrs": ["10/8"]}),
            "`allow_cidrs[0]`: \"10/8\" is not a network",
        ),
        (
            json!({"hello_name": "a b"}),
            "`hello_name`: must be the full name of a host",
        ),
        (
            json!({"hello_name": ""}),
            "`hello_name`: must be the full name of a host",
        ),
        (
            json!({"allow_headers": ["X-A", "Bcc"]}),
            "`allow_headers[1]`: payloads must not set",
        ),
        (
            json!({"allow_headers": ["Content-Type"]}),
            "`allow_headers[0]`: payloads must not set",
        ),
        (
            json!({"allow_headers": ["X A"]}),
            "`allow_headers[0]`: not a header name",
        ),
        (
            json!({"allow_headers": ["X-A\r\nBcc"]}),
            "`allow_headers[0]`: not a header name",
        ),
        (
            json!({"max_recipients": 501}),
            "`max_recipients`: must be at most 500",
        ),
        (json!({"ca_file": missing}), "`ca_file`: has no effect"),
        (
            json!({"tls": "starttls", "ca_file": missing}),
            "`ca_file`: /there/is/no/such/file cannot be read",
        ),
        (
            json!({"tls": "implicit", "ca_file": empty.path()}),
            "`ca_file`: ",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_time_for_the_final_reply_is_a_part_of_the_time_limit() {
    assert_refused([(
        json!({"final_reply_seconds": 30}),
        "`final_reply_seconds`: must be less than `timeout_seconds`",
    )])
    .await;
}

#[tokio::test]
async fn errors_in_credentials_name_the_option_and_show_no_secret() {
    assert_refused([
        (
            json!({"username": "u"}),
            "`password`: is required with `username`",
        ),
        (
            json!({"password": PASSWORD}),
            "`username`: is required with `password`",
        ),
        (
            json!({"auth": "plain"}),
            "`auth`: requires `username` and `password`",
        ),
        (
            json!({"username": "u", "password": "s3cret\n"}),
            "`password`: must be one line",
        ),
        (
            json!({"username": "", "password": PASSWORD}),
            "`username`: must be one line",
        ),
    ])
    .await;
}

#[tokio::test]
async fn all_wrong_options_are_reported_at_once() {
    let options = json!({
        "from_address": "a", "smtp_host": "127.0.0.1", "username": "u", "hello_name": " ",
        "allow_headers": ["To", "X-A", "Cc"], "max_recipients": 1000,
    });
    let error = build(with(least(), options)).await.err().unwrap();
    let options: Vec<_> = error.each().map(|one| one.option.as_str()).collect();
    let expected = [
        "from_address",
        "allow_headers[0]",
        "allow_headers[2]",
        "max_recipients",
        "password",
        "hello_name",
        "smtp_host",
    ];
    assert_eq!(options, expected);
}

#[test]
fn options_of_the_wrong_shape_name_the_known_ones() {
    let mut registry = Registry::<Sinks>::default();
    registry.register(Email::default());
    let refusal = |options| registry.plan("email", options).err().unwrap().to_string();
    assert!(refusal(json!({})).contains("missing field `from_address`"));
    assert!(
        refusal(with(least(), json!({"tls": "ssl"}))).contains("`starttls`, `implicit`, `none`")
    );
    assert!(refusal(with(least(), json!({"smtp_tls": 1}))).contains("unknown field"));
    assert!(
        refusal(with(least(), json!({"auth": "cram-md5"}))).contains("`plain`, `login`, `xoauth2`")
    );
    assert!(refusal(with(least(), json!({"max_recipients": 0}))).contains("nonzero"));
}

#[test]
fn debug_of_the_options_shows_no_secret() {
    let options = with(least(), json!({"username": "u", "password": PASSWORD}));
    let config: EmailConfig = serde_json::from_value(options).unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains(PASSWORD) && shown.contains("alerts@example.com"),
        "{shown}"
    );
}
