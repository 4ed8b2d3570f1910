//! Bodies that are gzip or begin with a byte order mark.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_body_may_be_gzip_and_is_limited_after_decompression() {
    let toggle = br#"{"enabled": true, "note": "packed"}"#;
    let sent = async |encoding: &str, body: Vec<u8>| {
        let mut request = request("PUT /toggle", "application/json", body);
        let headers = request.headers_mut();
        headers.insert("content-encoding", encoding.parse().unwrap());
        let response = send(request).await;
        (response.status().as_u16(), text(response).await)
    };
    for encoding in ["gzip", "GZip", "x-gzip"] {
        assert_eq!(
            sent(encoding, gzip(toggle)).await,
            (200, "true packed".to_owned())
        );
    }
    assert_eq!(sent("identity", toggle.to_vec()).await.0, 200);
    let two_members = [gzip(&toggle[..9]), gzip(&toggle[9..])].concat();
    assert_eq!(sent("gzip", two_members).await.0, 200);
    let mut torn = gzip(toggle);
    torn.truncate(30);
    let refused = [
        (
            "gzip",
            gzip(&[b' '; 101]),
            413,
            "the body is larger than 100 bytes",
        ),
        ("gzip", toggle.to_vec(), 400, "not valid gzip"),
        ("gzip", torn, 400, "not valid gzip"),
        ("br", toggle.to_vec(), 415, "or as `gzip`"),
        ("gzip, gzip", gzip(&gzip(toggle)), 415, "or as `gzip`"),
    ];
    for (encoding, body, status, message) in refused {
        let answer = sent(encoding, body).await;
        assert_eq!(answer.0, status, "{encoding} {}", answer.1);
        assert!(answer.1.contains(message), "{}", answer.1);
    }
}

#[tokio::test]
async fn a_decompressed_body_reserves_memory_as_it_grows() {
    let packed = gzip(&vec![b' '; 1 << 20]);
    assert!(packed.len() < 16 << 10, "{} bytes", packed.len());
    let read = async |max| {
        let mut budget = CountedBudget { reserved: 0, max };
        let mut request = request("POST /", "application/json", packed.clone());
        let headers = request.headers_mut();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        let body = read_json_within(request, &mut budget).await;
        (
            body.map(|body| body.len()).map_err(|error| error.code),
            budget.reserved,
        )
    };
    let (size, taken) = read(4 << 20).await;
    assert_eq!(size, Ok(1 << 20));
    assert!(((1 << 20)..=(2 << 20)).contains(&taken), "{taken}");
    assert_eq!(read(500 << 10).await, (Err("OVERLOADED"), 0));
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let body = "\u{feff}{\"enabled\": true}";
    let response = send(request("PUT /toggle", "application/json", body)).await;
    assert_eq!(text(response).await, "true ");
}
