//! `ENC[...]`: a secret encrypted with a master key from the environment, so that the file can be stored where others
//! read it. AES-256-GCM with a random nonce; `kid` names the key, so that keys can be rotated one secret at a time.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use thiserror::Error;

/// The variable of the master key. The variable of a key with an id ends with the id: `ACTEON_AUTH_KEY_<ID>`.
pub(crate) const KEY_VARIABLE: &str = "ACTEON_AUTH_KEY";
/// The maximum size of a secret.
const SECRET_BYTES_MAX: usize = 32 << 10;

pub(crate) const BEGIN: &str = "ENC[";
const END: &str = "]";
const ALGORITHM: &str = "AES256-GCM";
const KEY_BYTES: usize = 32;
const KEY_ID_CHARS_MAX: usize = 64;

/// Reads base64 with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a secret cannot be encrypted or decrypted.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EnvelopeError {
    #[error(
        "`ENC[...]` is malformed: {0}; it is written `ENC[AES256-GCM,data:<base64>,iv:<base64>,tag:<base64>]`, with \
         `kid:<id>,` before `data` where the key has an id"
    )]
    Malformed(&'static str),
    #[error("`ENC[...]` needs the key in the environment variable `{variable}`, which is not set")]
    NoKey { variable: String },
    #[error("`{variable}` must hold 64 hex digits or the base64 of 32 bytes")]
    BadKey { variable: String },
    #[error(
        "`ENC[...]` cannot be decrypted by the key in `{variable}`: it was changed, or encrypted under another key"
    )]
    Unreadable { variable: String },
    #[error("the id of a key is up to {KEY_ID_CHARS_MAX} letters, digits, `-` and `_`")]
    BadKeyId,
    #[error("the secret is empty")]
    Empty,
    #[error("the secret is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong,
    #[error("the library refuses to encrypt")]
    Refused,
}

/// True for text that is an envelope, contains one, or was probably intended as one.
pub(crate) fn is_intended(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN) || text.contains(&format!("{BEGIN}{ALGORITHM}"))
}

/// Encrypts a secret with the master key, or with the key of this id.
///
/// # Errors
/// If the key is not in `environment`, or the secret is empty or too long.
pub fn encrypt(
    secret: &str,
    key_id: Option<&str>,
    environment: &[(String, String)],
) -> Result<String, EnvelopeError> {
    match secret.len() {
        0 => return Err(EnvelopeError::Empty),
        bytes if bytes > SECRET_BYTES_MAX => return Err(EnvelopeError::TooLong),
        _ => {}
    }
    if key_id.is_some_and(|id| !is_key_id(id)) {
        return Err(EnvelopeError::BadKeyId);
    }
    let key = Key::of(key_id, environment)?;
    let mut data = secret.as_bytes().to_vec();
    let sealed = key.key.seal_in_place_separate_tag(Aad::empty(), &mut data);
    let (nonce, tag) = sealed.map_err(|_| EnvelopeError::Refused)?;
    let kid = key_id.map_or(String::new(), |id| format!("kid:{id},"));
    let [data, iv, tag] =
        [&data[..], nonce.as_ref(), tag.as_ref()].map(|bytes| STANDARD.encode(bytes));
    Ok(format!(
        "{BEGIN}{ALGORITHM},{kid}data:{data},iv:{iv},tag:{tag}{END}"
    ))
}

/// The secret in an envelope.
pub(crate) fn open(text: &str, environment: &[(String, String)]) -> Result<String, EnvelopeError> {
    let envelope = Envelope::read(text)?;
    let key = Key::of(envelope.key_id, environment)?;
    let mut sealed = [envelope.data, envelope.tag].concat();
    let nonce = Nonce::from(&envelope.iv);
    let opened = key.key.open_in_place(nonce, Aad::empty(), &mut sealed);
    let secret = opened
        .ok()
        .and_then(|secret| std::str::from_utf8(secret).ok());
    let variable = key.variable;
    secret
        .map(str::to_owned)
        .ok_or(EnvelopeError::Unreadable { variable })
}

/// The fields of an envelope.
struct Envelope<'a> {
    key_id: Option<&'a str>,
    data: Vec<u8>,
    iv: [u8; NONCE_LEN],
    tag: Vec<u8>,
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Self, EnvelopeError> {
        let wrong = EnvelopeError::Malformed;
        let inside = text.trim().strip_prefix(BEGIN);
        let inside = inside.ok_or(wrong("it is not the whole value"))?;
        let inside = inside.strip_suffix(END);
        let inside = inside.ok_or(wrong("its end is missing"))?;
        let mut parts = inside.split(',').peekable();
        if parts.next() != Some(ALGORITHM) {
            return Err(wrong("it does not begin with `AES256-GCM`"));
        }
        let key_id = parts.next_if(|part| part.starts_with("kid:"));
        let key_id = key_id.and_then(|part| part.strip_prefix("kid:"));
        if key_id.is_some_and(|id| !is_key_id(id)) {
            return Err(wrong("`kid` is not the id of a key"));
        }
        let mut part = |name| {
            let text = parts.next().and_then(|part| part.strip_prefix(name));
            text.and_then(|text| BASE64.decode(text).ok())
        };
        let data = part("data:").ok_or(wrong("`data` is missing or is not base64"))?;
        let iv = part("iv:").and_then(|iv| iv.try_into().ok());
        let iv = iv.ok_or(wrong("`iv` is missing or is not the base64 of 12 bytes"))?;
        let tag = part("tag:").filter(|tag| tag.len() == AES_256_GCM.tag_len());
        let tag = tag.ok_or(wrong("`tag` is missing or is not the base64 of 16 bytes"))?;
        match parts.next() {
            None => Ok(Self {
                key_id,
                data,
                iv,
                tag,
            }),
            Some(_) => Err(wrong("something follows `tag`")),
        }
    }
}

/// A key, and the variable that holds it.
struct Key {
    key: RandomizedNonceKey,
    variable: String,
}

impl Key {
    fn of(id: Option<&str>, environment: &[(String, String)]) -> Result<Self, EnvelopeError> {
        let variable = variable(id);
        let found = environment.iter().find(|(name, _)| *name == variable);
        let Some((_, text)) = found.filter(|(_, text)| !text.trim().is_empty()) else {
            return Err(EnvelopeError::NoKey { variable });
        };
        let key = key_bytes(text.trim())
            .and_then(|bytes| RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok());
        match key {
            Some(key) => Ok(Self { key, variable }),
            None => Err(EnvelopeError::BadKey { variable }),
        }
    }
}

/// The environment variable of the key with this id.
fn variable(id: Option<&str>) -> String {
    match id {
        None => KEY_VARIABLE.to_owned(),
        Some(id) => format!(
            "{KEY_VARIABLE}_{}",
            id.to_ascii_uppercase().replace('-', "_")
        ),
    }
}

fn is_key_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=KEY_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(legal)
}

/// Tries hex first, because 64 hex digits are also the base64 of 48 bytes.
fn key_bytes(text: &str) -> Option<[u8; KEY_BYTES]> {
    let bytes = match text.len() == 2 * KEY_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => text
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>()?,
        false => BASE64.decode(text).ok()?,
    };
    bytes.try_into().ok()
}
