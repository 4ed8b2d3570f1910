//! Unknown names, and arrays in place of objects.

use super::*;

#[tokio::test]
async fn an_unknown_name_is_refused_with_the_name_that_is_probably_meant() {
    let refused = async |line: &str, body: &'static str| {
        let response = send(request(line, "application/json", body)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{line} {body}");
        let error: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        let part = |name: &str| error[name].as_str().unwrap().to_owned();
        format!("{} {}", part("code"), part("message"))
    };
    let table = [
        (
            "PUT /toggle",
            r#"{"enabled": true, "notes": "x"}"#,
            "INVALID_JSON `notes` is unknown; did you mean `note`? at line 1 column 25",
        ),
        (
            "PUT /toggle",
            r#"{"enabled": true, "x\n": 1}"#,
            "INVALID_JSON `x\\n` is unknown; known: `enabled`, `note` at line 1 column 23",
        ),
        (
            "GET /page?Limit=3",
            "",
            "INVALID_QUERY `Limit` is unknown; did you mean `limit`?",
        ),
        (
            "GET /page?limit=3&lim=4",
            "",
            "INVALID_QUERY `lim` is unknown; did you mean `limit`?",
        ),
        (
            "GET /page?offset=3",
            "",
            "INVALID_QUERY `offset` is unknown; known: `limit`",
        ),
        (
            "GET /page?limit=3&limit=4",
            "",
            "INVALID_QUERY duplicate field `limit`",
        ),
        (
            "GET /bounds?x",
            "",
            "INVALID_QUERY `x` is unknown; no names are allowed here",
        ),
    ];
    for (line, body, expected) in table {
        assert_eq!(refused(line, body).await, expected, "{line} {body}");
    }
    let bare = send(request("GET /bounds?", "", "")).await;
    assert_eq!(bare.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_array_is_never_read_as_an_object_however_deep_it_is() {
    for (line, body) in [
        ("PUT /toggle", "[false]"),
        ("PUT /toggle", r#"[false, "why"]"#),
        ("POST /optional", "[true]"),
        ("PUT /bounds", r#"{"inner": [1, 2]}"#),
        ("PUT /bounds", r#"{"many": [{"from": 1, "to": 2}, [1, 2]]}"#),
        ("PUT /bounds", r#"{"named": {"a": [1, 2]}}"#),
    ] {
        let response = send(request(line, "application/json", body)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let text = text(response).await;
        assert!(text.contains("sequence, expected an object"), "{text}");
    }
    let fine = r#"{"inner":{"from":1,"to":2},"many":[{"from":1,"to":2}],"switch":"On"}"#;
    let response = send(request("PUT /bounds", "application/json", fine)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let deep = r#"{"many": [{"from": 1, "to": 2}, {"from": 1, "too": 2}]}"#;
    let response = send(request("PUT /bounds", "application/json", deep)).await;
    assert!(
        text(response)
            .await
            .contains("`many[1]`: `too` is unknown; did you mean `to`? at line 1 column 49")
    );
}

#[tokio::test]
async fn a_name_is_read_from_a_string_only() {
    for body in [
        r#"{"switch": {"On": null}}"#,
        r#"{"switch": {"Off": {}}}"#,
        r#"{"switch": ["On"]}"#,
        r#"{"switch": 1}"#,
    ] {
        let response = send(request("PUT /bounds", "application/json", body)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let text = text(response).await;
        assert!(text.contains("`switch`: invalid type: "), "{text}");
        assert!(text.contains(", expected a string"), "{text}");
    }
    let response = send(request(
        "PUT /bounds",
        "application/json",
        r#"{"switch": "off"}"#,
    ))
    .await;
    let text = text(response).await;
    assert!(
        text.contains("unknown variant `off`, expected `On` or `Off`"),
        "{text}"
    );
}
