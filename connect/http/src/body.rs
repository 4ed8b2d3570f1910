//! Reading request bodies with a bound on bytes and time. The bound on bytes comes with the request, put there by
//! [`crate::with_manners`] where the request does not show by itself that it is small enough.

use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures_util::poll;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::error::ApiError;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a refused body is read and thrown away.
const DISCARDED_BYTES_MAX: u64 = 16 << 20;
/// What is allowed when nobody said anything.
const BYTES_MAX: u64 = 2 << 20;

/// How large the body of a request may be that does not show its size, or shows too much.
#[derive(Clone, Copy)]
pub(crate) struct Cap(pub(crate) u64);

/// True when the body is declared as `application/json` or some `application/...+json`.
pub fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let Some(declared) = declared else {
        return false;
    };
    if declared == "application/json" {
        return true;
    }
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let Some((kind, name)) = essence.split_once('/') else {
        return false;
    };
    let suffix = name.rsplit('+').next().unwrap_or_default();
    kind.eq_ignore_ascii_case("application") && suffix.eq_ignore_ascii_case("json")
}

/// How many bytes the body will have at most, if the request shows it.
pub fn declared_bytes(request: &Request) -> Option<u64> {
    request.body().size_hint().upper()
}

/// Reads the whole body, without a copy when it arrives in one piece.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`; `INVALID_JSON` when the body ends early or does not arrive in time.
pub async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let bytes_max = bytes_max(&request);
    let discarded_max = discarded_bytes_max(&request);
    let body = request.into_body();
    let whole = async {
        if body.size_hint().lower() > bytes_max {
            discard(body, discarded_max).await;
            return Err(too_large(bytes_max));
        }
        collect(body, bytes_max).await
    };
    let late = |_| {
        let seconds = PATIENCE.as_secs();
        ApiError::invalid_json(format!("the body did not arrive within {seconds} seconds"))
    };
    tokio::pin!(whole);
    // Most bodies have come with the head of their request: they need no timer.
    if let Poll::Ready(body) = poll!(whole.as_mut()) {
        return body;
    }
    timeout(PATIENCE, whole).await.map_err(late)?
}

/// For refusals before the body is read: throws the body away, so that a client that writes before it reads gets to
/// see the answer. As much as is reasonable: what comes beyond closes the connection.
pub async fn discard_body(request: Request) {
    let max = discarded_bytes_max(&request);
    // Too late, too much, broken: all the same here.
    let _ = timeout(PATIENCE, discard(request.into_body(), max)).await;
}

fn bytes_max(request: &Request) -> u64 {
    match request.extensions().get() {
        Some(Cap(max)) => *max,
        None => declared_bytes(request).unwrap_or(BYTES_MAX),
    }
}

/// A client that asks first shall not be told to go on.
fn discarded_bytes_max(request: &Request) -> u64 {
    if request.headers().contains_key(EXPECT) {
        0
    } else {
        DISCARDED_BYTES_MAX
    }
}

async fn collect(mut body: Body, bytes_max: u64) -> Result<Bytes, ApiError> {
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > bytes_max {
        discard(body, DISCARDED_BYTES_MAX).await;
        return Err(too_large(bytes_max));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next(&mut body).await? else {
        return Ok(first);
    };
    let expected = body.size_hint().lower().min(bytes_max);
    let capacity = first.len() + second.len() + usize::try_from(expected).unwrap_or_default();
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(more) = piece {
        if (whole.len() + more.len()) as u64 > bytes_max {
            discard(body, DISCARDED_BYTES_MAX).await;
            return Err(too_large(bytes_max));
        }
        whole.extend_from_slice(&more);
        piece = next(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(ApiError::invalid_json("the body ended early")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn discard(mut body: Body, bytes_max: u64) {
    let mut room = bytes_max;
    while room > 0 && body.size_hint().lower() <= room {
        match next(&mut body).await {
            Ok(Some(data)) => room = room.saturating_sub(data.len() as u64),
            _ => return,
        }
    }
}

fn too_large(bytes_max: u64) -> ApiError {
    ApiError::payload_too_large(format!("the body has more than {bytes_max} bytes"))
}
