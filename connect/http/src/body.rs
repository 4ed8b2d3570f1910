//! Reads request bodies within limits on size, memory and time. [`crate::ApiService`] attaches the size limit to
//! requests that do not show by themselves that they are small enough.

use std::io::Read;

use axum::body::HttpBody;
use axum::extract::Request;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};

use crate::error::ApiError;
use crate::timed_body::TimedBody;

/// How much of a refused body is read and discarded.
const DISCARDED_BYTES_MAX: u64 = 16 << 20;
/// The size limit when no other is set.
const BYTES_MAX: u64 = 2 << 20;
/// How much of a body needs no budget: about as much as its connection buffers anyway. So a client that announces a
/// large body and sends little takes no memory from others.
const UNBUDGETED_BYTES_MAX: usize = 16 << 10;

/// The size limit of a small body. It needs no budget.
const SMALL_BYTES_MAX: u64 = UNBUDGETED_BYTES_MAX as u64;

/// How much is decompressed at a time.
const CHUNK_BYTES: usize = 32 << 10;

/// The size limit for a request body after decompression.
#[derive(Clone, Copy)]
pub(crate) struct DecodedBytesMax(pub(crate) u64);

/// The size limit for a request body that declares no size, or one over the limit.
#[derive(Clone, Copy)]
pub(crate) struct BodyBytesMax(pub(crate) u64);

/// Grants the memory for a body while it arrives.
pub trait MemoryBudget: Send {
    /// Reserves this many more bytes. If they are not available, the body is refused with the error.
    fn reserve(&mut self, bytes: u64) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Releases all reserved bytes, because the body is refused.
    fn release(&mut self);
}

/// The budget of a small body, which needs none.
pub(crate) struct NoBudget;

impl MemoryBudget for NoBudget {
    async fn reserve(&mut self, _: u64) -> Result<(), ApiError> {
        Ok(())
    }

    fn release(&mut self) {}
}

/// Lowers the size limits of a request to those of a small body.
pub(crate) fn limit_to_small(request: &mut Request) {
    let extensions = request.extensions_mut();
    let body_max = extensions
        .get()
        .map_or(SMALL_BYTES_MAX, |BodyBytesMax(max)| *max);
    let decoded_max = extensions
        .get()
        .map_or(SMALL_BYTES_MAX, |DecodedBytesMax(max)| *max);
    extensions.insert(BodyBytesMax(body_max.min(SMALL_BYTES_MAX)));
    extensions.insert(DecodedBytesMax(decoded_max.min(SMALL_BYTES_MAX)));
}

/// True if the body is declared as `application/json` or `application/...+json`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
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

/// The content encoding of a body.
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// The declared encoding; `None` if it is not supported.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let mut declared = headers.get_all(CONTENT_ENCODING).iter();
    let Some(first) = declared.next() else {
        return Some(Encoding::Identity);
    };
    let name = first.to_str().ok()?.trim().to_ascii_lowercase();
    match (name.as_str(), declared.next()) {
        ("identity" | "", None) => Some(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Some(Encoding::Gzip),
        _ => None,
    }
}

/// Reads and decompresses a body. The decompressed bytes have the same limits as an uncompressed body.
///
/// # Errors
/// The errors of [`read_body`]; `INVALID_JSON` if the body is not gzip.
pub(crate) async fn read_gzip(
    request: Request,
    budget: &mut impl MemoryBudget,
) -> Result<Bytes, ApiError> {
    // The declared size is that of the compressed body, so it does not limit the result.
    let bytes_max = match request.extensions().get() {
        Some(DecodedBytesMax(max)) => *max,
        None => BYTES_MAX,
    };
    let compressed = read_body(request, budget).await?;
    let mut whole = BodyBuffer::new(bytes_max);
    let mut decoder = MultiGzDecoder::new(&*compressed);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = decoder.read(&mut chunk).map_err(|error| {
            ApiError::invalid_json(format!("the body is not valid gzip: {error}"))
        })?;
        if read == 0 {
            return Ok(whole.bytes.into());
        }
        let added = whole.push(&chunk[..read], None, budget).await;
        if let Err(ReadError::Incomplete(error) | ReadError::Refused(error)) = added {
            budget.release();
            return Err(error);
        }
        // A small body may decompress to a large one, so other tasks get their turn.
        tokio::task::yield_now().await;
    }
}

/// Reads the whole body, without a copy if it arrives in one piece. Discards a refused body, so that a client that
/// writes everything before it reads gets the answer.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`, `REQUEST_TIMEOUT`, the errors of `budget`; `INVALID_JSON` if the body ends early.
pub(crate) async fn read_body(
    request: Request,
    budget: &mut impl MemoryBudget,
) -> Result<Bytes, ApiError> {
    let bytes_max = bytes_max(&request);
    let discarded_max = discarded_bytes_max(&request);
    let mut body = TimedBody::new(request.into_body());
    if body.rest_min() > bytes_max {
        discard(&mut body, discarded_max).await;
        return Err(too_large(bytes_max));
    }
    match collect(&mut body, bytes_max, budget).await {
        Ok(whole) => Ok(whole),
        Err(ReadError::Incomplete(error)) => Err(error),
        Err(ReadError::Refused(error)) => {
            // The buffer is freed by now, and discarding the rest needs no memory.
            budget.release();
            discard(&mut body, DISCARDED_BYTES_MAX).await;
            Err(error)
        }
    }
}

/// Discards the body of a request that is refused before reading, up to [`DISCARDED_BYTES_MAX`]. If the client sends
/// more than that, the connection is closed.
pub(crate) async fn discard_body(request: Request) {
    let max = discarded_bytes_max(&request);
    discard(&mut TimedBody::new(request.into_body()), max).await;
}

fn bytes_max(request: &Request) -> u64 {
    match request.extensions().get() {
        Some(BodyBytesMax(max)) => *max,
        None => request.body().size_hint().upper().unwrap_or(BYTES_MAX),
    }
}

/// Reading the body of a client that sent `Expect` would tell it to continue, so nothing is read from it.
fn discarded_bytes_max(request: &Request) -> u64 {
    if request.headers().contains_key(EXPECT) {
        0
    } else {
        DISCARDED_BYTES_MAX
    }
}

/// Why a body was not read to its end.
enum ReadError {
    /// The rest does not arrive, or too slowly.
    Incomplete(ApiError),
    /// The body exceeds a limit. The rest may still arrive.
    Refused(ApiError),
}

impl From<ApiError> for ReadError {
    fn from(error: ApiError) -> Self {
        Self::Incomplete(error)
    }
}

async fn collect(
    body: &mut TimedBody,
    bytes_max: u64,
    budget: &mut impl MemoryBudget,
) -> Result<Bytes, ReadError> {
    let Some(first) = body.next().await? else {
        return Ok(Bytes::new());
    };
    let mut whole = BodyBuffer::new(bytes_max);
    whole.check_size(&first)?;
    if body.is_at_end() {
        return Ok(first);
    }
    let Some(second) = body.next().await? else {
        return Ok(first);
    };
    let rest = body.rest_max().map(|rest| rest + second.len() as u64);
    whole.push(&first, rest, budget).await?;
    let mut piece = Some(second);
    while let Some(more) = piece {
        let rest = body.rest_max();
        if whole.push(&more, rest, budget).await? == Growth::Reserved {
            body.restart_interval();
        }
        piece = body.next().await?;
    }
    Ok(whole.bytes.into())
}

/// The received part of a body that arrives in more than one piece.
struct BodyBuffer {
    bytes: Vec<u8>,
    /// How many bytes may be filled: they are reserved, or few enough to need no budget.
    granted: usize,
    bytes_max: u64,
}

/// Whether adding a piece had to reserve memory, which may take time.
#[derive(PartialEq, Eq)]
enum Growth {
    None,
    Reserved,
}

impl BodyBuffer {
    fn new(bytes_max: u64) -> Self {
        Self {
            bytes: Vec::new(),
            granted: 0,
            bytes_max,
        }
    }

    /// Adds a piece. `rest` is the declared number of bytes after it.
    async fn push(
        &mut self,
        piece: &[u8],
        rest: Option<u64>,
        budget: &mut impl MemoryBudget,
    ) -> Result<Growth, ReadError> {
        self.check_size(piece)?;
        let bytes = self.bytes.len() + piece.len();
        let mut growth = Growth::None;
        if bytes > self.granted {
            let all = rest.map_or(self.bytes_max, |rest| {
                self.bytes_max.min(bytes as u64 + rest)
            });
            let all = usize::try_from(all).unwrap_or(usize::MAX);
            growth = self.grant(all.min(bytes * 2), budget).await?;
            // Unwritten memory costs nothing. Growing in steps would copy the bytes and leave as much freed memory
            // behind.
            let capacity = rest.map_or(self.granted, |_| all);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(growth)
    }

    fn check_size(&self, piece: &[u8]) -> Result<(), ReadError> {
        let bytes = (self.bytes.len() + piece.len()) as u64;
        if bytes > self.bytes_max {
            return Err(ReadError::Refused(too_large(self.bytes_max)));
        }
        Ok(())
    }

    /// Raises the grant to `bytes` in total.
    async fn grant(
        &mut self,
        bytes: usize,
        budget: &mut impl MemoryBudget,
    ) -> Result<Growth, ReadError> {
        let reserved = match self.granted {
            granted if granted > UNBUDGETED_BYTES_MAX => granted,
            _ => 0,
        };
        let mut growth = Growth::None;
        if bytes > UNBUDGETED_BYTES_MAX {
            let more = budget.reserve((bytes - reserved) as u64).await;
            more.map_err(ReadError::Refused)?;
            growth = Growth::Reserved;
        }
        self.granted = bytes;
        Ok(growth)
    }
}

async fn discard(body: &mut TimedBody, bytes_max: u64) {
    let mut left = bytes_max;
    while left > 0 && body.rest_min() <= left {
        match body.next().await {
            Ok(Some(data)) => left = left.saturating_sub(data.len() as u64),
            // The body ended, or its errors no longer matter.
            Ok(None) | Err(_) => return,
        }
    }
}

fn too_large(bytes_max: u64) -> ApiError {
    ApiError::payload_too_large(format!("the body is larger than {bytes_max} bytes"))
}
