//! Reading request bodies with a bound on bytes, memory and time. The bound on bytes comes with the request, put there
//! by [`crate::with_manners`] where the request does not show by itself that it is small enough.

use std::io::Read;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};

use crate::error::ApiError;
use crate::pace::Pace;

/// How much of a refused body is read and thrown away.
const DISCARDED_BYTES_MAX: u64 = 16 << 20;
/// What is allowed when nobody said anything.
const BYTES_MAX: u64 = 2 << 20;
/// What a body may take without asking for room: about what its connection holds anyway. So a client that announces
/// much and sends little takes nothing from others.
const UNCOUNTED_BYTES_MAX: usize = 16 << 10;

/// How much is inflated at once.
const PIECE_BYTES: usize = 32 << 10;

/// How large the body of a request may be.
#[derive(Clone, Copy)]
pub(crate) struct Bound(pub(crate) u64);

/// How large the body of a request may be that does not show its size, or shows too much.
#[derive(Clone, Copy)]
pub(crate) struct Cap(pub(crate) u64);

/// Who gives room for the memory of a body, as much as has come.
pub trait Room: Send {
    /// Takes room for so many more bytes. The body is refused with the error when there is none.
    fn take(&mut self, bytes: u64) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// The body is refused: all that was taken is free.
    fn give_back(&mut self);
}

/// There is always room: only the size of the body is bounded.
pub(crate) struct Uncounted;

impl Room for Uncounted {
    async fn take(&mut self, _: u64) -> Result<(), ApiError> {
        Ok(())
    }

    fn give_back(&mut self) {}
}

/// True when the body is declared as `application/json` or some `application/...+json`.
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

/// How a body is encoded.
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// As it is declared; `None` is one that is not read here.
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

/// Reads and inflates a body. What comes of it is bounded and counted like a body that comes plainly.
///
/// # Errors
/// As [`read_body_into`]; `INVALID_JSON` when it is not gzip.
pub(crate) async fn read_gzip_into(
    request: Request,
    room: &mut impl Room,
) -> Result<Bytes, ApiError> {
    // A body that shows its size shows that of its gzip.
    let bytes_max = match request.extensions().get() {
        Some(Bound(max)) => *max,
        None => BYTES_MAX,
    };
    let packed = read_body_into(request, room).await?;
    let mut whole = Whole {
        bytes: Vec::new(),
        counted: 0,
        bytes_max,
    };
    let (mut inflating, mut piece) = (MultiGzDecoder::new(&*packed), vec![0; PIECE_BYTES]);
    loop {
        let read = inflating.read(&mut piece).map_err(|error| {
            ApiError::invalid_json(format!("the body is not gzip that can be read: {error}"))
        })?;
        if read == 0 {
            return Ok(whole.bytes.into());
        }
        let added = whole.add(&piece[..read], None, room).await;
        if let Err(Refused::Broken(error) | Refused::Unwanted(error)) = added {
            room.give_back();
            return Err(error);
        }
        // A small body may become a large one: others have their turn.
        tokio::task::yield_now().await;
    }
}

/// Reads the whole body, without a copy when it arrives in one piece. What is refused is thrown away, so that a client
/// that writes before it reads gets to see the answer.
///
/// # Errors
/// `PAYLOAD_TOO_LARGE`, `REQUEST_TIMEOUT`, those of `room`; `INVALID_JSON` when the body ends early.
pub(crate) async fn read_body_into(
    request: Request,
    room: &mut impl Room,
) -> Result<Bytes, ApiError> {
    let bytes_max = bytes_max(&request);
    let discarded_max = discarded_bytes_max(&request);
    let mut body = request.into_body();
    let mut pace = Pace::default();
    if body.size_hint().lower() > bytes_max {
        discard(&mut body, &mut pace, discarded_max).await;
        return Err(too_large(bytes_max));
    }
    match collect(&mut body, &mut pace, bytes_max, room).await {
        Ok(whole) => Ok(whole),
        Err(Refused::Broken(error)) => Err(error),
        Err(Refused::Unwanted(error)) => {
            // What had come is gone by now; the rest needs no room.
            room.give_back();
            discard(&mut body, &mut pace, DISCARDED_BYTES_MAX).await;
            Err(error)
        }
    }
}

/// For refusals before the body is read: throws the body away. As much as is reasonable: what comes beyond closes the
/// connection.
pub(crate) async fn discard_body(request: Request) {
    let max = discarded_bytes_max(&request);
    discard(&mut request.into_body(), &mut Pace::default(), max).await;
}

fn bytes_max(request: &Request) -> u64 {
    match request.extensions().get() {
        Some(Cap(max)) => *max,
        None => request.body().size_hint().upper().unwrap_or(BYTES_MAX),
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

/// Why a body was not read to its end.
enum Refused {
    /// No more of it will come, or too slowly.
    Broken(ApiError),
    /// More of it may come.
    Unwanted(ApiError),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Broken(error)
    }
}

async fn collect(
    body: &mut Body,
    pace: &mut Pace,
    bytes_max: u64,
    room: &mut impl Room,
) -> Result<Bytes, Refused> {
    let Some(first) = pace.next(body).await? else {
        return Ok(Bytes::new());
    };
    let mut whole = Whole {
        bytes: Vec::new(),
        counted: 0,
        bytes_max,
    };
    whole.check(&first)?;
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = pace.next(body).await? else {
        return Ok(first);
    };
    let rest = body
        .size_hint()
        .upper()
        .map(|rest| rest + second.len() as u64);
    whole.add(&first, rest, room).await?;
    let mut piece = Some(second);
    while let Some(more) = piece {
        if whole.add(&more, body.size_hint().upper(), room).await? == Added::IntoNewRoom {
            pace.pause();
        }
        piece = pace.next(body).await?;
    }
    Ok(whole.bytes.into())
}

/// What has come of a body in more than one piece.
struct Whole {
    bytes: Vec<u8>,
    /// How much of it may be filled: room was taken for it, or it is little.
    counted: usize,
    bytes_max: u64,
}

#[derive(PartialEq, Eq)]
enum Added {
    AtOnce,
    IntoNewRoom,
}

impl Whole {
    async fn add(
        &mut self,
        piece: &[u8],
        rest: Option<u64>,
        room: &mut impl Room,
    ) -> Result<Added, Refused> {
        self.check(piece)?;
        let bytes = self.bytes.len() + piece.len();
        let mut added = Added::AtOnce;
        if bytes > self.counted {
            let all = rest.map_or(self.bytes_max, |rest| {
                self.bytes_max.min(bytes as u64 + rest)
            });
            let all = usize::try_from(all).unwrap_or(usize::MAX);
            added = self.count(all.min(bytes * 2), room).await?;
            // Memory that is not written to costs nothing, and moving what is there would leave as much behind.
            let capacity = rest.map_or(self.counted, |_| all);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(added)
    }

    fn check(&self, piece: &[u8]) -> Result<(), Refused> {
        let bytes = (self.bytes.len() + piece.len()) as u64;
        if bytes > self.bytes_max {
            return Err(Refused::Unwanted(too_large(self.bytes_max)));
        }
        Ok(())
    }

    /// Takes room for `bytes`, with what was taken before.
    async fn count(&mut self, bytes: usize, room: &mut impl Room) -> Result<Added, Refused> {
        let before = match self.counted {
            before if before > UNCOUNTED_BYTES_MAX => before,
            _ => 0,
        };
        let mut added = Added::AtOnce;
        if bytes > UNCOUNTED_BYTES_MAX {
            let more = room.take((bytes - before) as u64).await;
            more.map_err(Refused::Unwanted)?;
            added = Added::IntoNewRoom;
        }
        self.counted = bytes;
        Ok(added)
    }
}

async fn discard(body: &mut Body, pace: &mut Pace, bytes_max: u64) {
    let mut room = bytes_max;
    while room > 0 && body.size_hint().lower() <= room {
        match pace.next(body).await {
            Ok(Some(data)) => room = room.saturating_sub(data.len() as u64),
            // Too late, too much, broken: all the same here.
            Ok(None) | Err(_) => return,
        }
    }
}

fn too_large(bytes_max: u64) -> ApiError {
    ApiError::payload_too_large(format!("the body has more than {bytes_max} bytes"))
}
