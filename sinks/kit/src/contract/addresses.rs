//! Clauses about the options that every HTTP sink has for its connections.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use serde_json::{Value, json};

use super::{Harness, Receiver, TIMEOUT, build, context, deliver};

/// No connection arrives where the options do not allow it, whether the URL has an address or a name.
pub async fn only_allowed_addresses_are_connected_to(harness: &dyn Harness) {
    let receiver = Receiver::start([]).await;
    let port = receiver.address().port();
    let options = harness.options(&receiver.url());
    let error = build(harness, options, context(TIMEOUT)).await.err();
    let error = error.expect("a loopback address is refused").to_string();
    assert!(error.contains("add `allow_cidrs"), "{error}");
    let named = format!("http://localhost:{port}/hook?from=acteon");
    let options = harness.options(&named);
    let sink = build(harness, options, context(TIMEOUT)).await.unwrap();
    let error = deliver(&*sink, &harness.action(), 1).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(sink.dial().await.is_err());
    assert_eq!(receiver.connections(), 0);
}

/// Networks, certificates and the proxy: each option is refused when it cannot work, so none is ignored.
pub async fn every_connection_option_is_read(harness: &dyn Harness) {
    let options: [(&str, Value); 5] = [
        ("allow_cidrs", json!(["10/8"])),
        ("ca_file", json!("/nowhere/ca.pem")),
        ("client_cert", json!("/nowhere/cert.pem")),
        ("client_key", json!("/nowhere/key.pem")),
        ("proxy", json!("ftp://proxy.example.com")),
    ];
    for (option, value) in options {
        let mut options = harness.options("https://example.com/hook?from=acteon");
        options[option] = value;
        let error = build(harness, options, context(TIMEOUT)).await.err();
        let error = error.unwrap_or_else(|| panic!("`{option}` is ignored"));
        let named: Vec<_> = error.each().map(|one| one.option.as_str()).collect();
        let is_named = |name: &&str| name.starts_with(option) || name.starts_with("client_");
        assert!(named.iter().any(is_named), "{option}: {named:?}");
    }
}
