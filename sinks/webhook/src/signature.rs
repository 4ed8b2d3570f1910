//! Signatures by [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA256 and ed25519, by one or several
//! secrets at a time, so that a secret can be replaced while receivers know only the old one.

use acteon_core::{BuildError, Faults};
use acteon_sinks_kit::RequestBody;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::WebhookConfig;

pub(crate) const ID: HeaderName = HeaderName::from_static("webhook-id");
pub(crate) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Two are enough for a rotation. Each one costs a pass over the body.
const SECRETS_MAX: usize = 5;
/// The lengths of symmetric secrets that the standard allows.
const SYMMETRIC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The length of a seed of ed25519. A public key of the same length may follow it.
const SEED_BYTES: usize = 32;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Signs requests with every configured secret.
pub(crate) struct Signer {
    keys: Vec<SigningKey>,
}

enum SigningKey {
    Symmetric(Box<hmac::Key>),
    Asymmetric(Ed25519KeyPair),
}

impl Signer {
    /// The signer for the options; `None` without secrets.
    ///
    /// # Errors
    /// Each secret that is not a key, without repeating it.
    pub(crate) fn new(config: &WebhookConfig) -> Result<Option<Self>, BuildError> {
        let several = config.signing_secrets.as_deref().unwrap_or_default();
        if config.signing_secret.is_some() && config.signing_secrets.is_some() {
            let message = "set either this or `signing_secret`";
            return Err(BuildError::at("signing_secrets", message));
        }
        if config.signing_secrets.is_some() && !(1..=SECRETS_MAX).contains(&several.len()) {
            let message = format!("list 1 to {SECRETS_MAX} secrets");
            return Err(BuildError::at("signing_secrets", message));
        }
        let one = config.signing_secret.iter();
        let one = one.map(|secret| ("signing_secret".to_owned(), secret));
        let named = |(at, secret)| (format!("signing_secrets[{at}]"), secret);
        let mut faults = Faults::default();
        let mut keys = Vec::new();
        for (option, secret) in one.chain(several.iter().enumerate().map(named)) {
            let key = SigningKey::parse(secret.expose());
            let key = key.map_err(|why| BuildError::at(option, why));
            keys.extend(faults.keep(key));
        }
        let signer = (!keys.is_empty()).then_some(Self { keys });
        faults.end(Some(signer))
    }

    /// Adds the three headers. `id` is the same in every attempt; `timestamp`, in seconds, is that of this attempt.
    pub(crate) fn sign(
        &self,
        id: HeaderValue,
        timestamp: i64,
        body: &RequestBody,
        headers: &mut HeaderMap,
    ) {
        let mut start = id.as_bytes().to_vec();
        start.extend_from_slice(format!(".{timestamp}.").as_bytes());
        let signatures: Vec<_> = self
            .keys
            .iter()
            .map(|key| key.signature(&start, body))
            .collect();
        // Base64 and spaces are valid in headers.
        if let Ok(value) = HeaderValue::try_from(signatures.join(" ")) {
            headers.insert(SIGNATURE, value);
        }
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(ID, id);
    }
}

impl SigningKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(encoded) = text.strip_prefix("whsec_") {
            let bytes = BASE64.decode(encoded).ok();
            let bytes = bytes.filter(|bytes| SYMMETRIC_BYTES.contains(&bytes.len()));
            let bytes = bytes.ok_or("`whsec_` must be followed by the base64 of 24 to 64 bytes")?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            return Ok(Self::Symmetric(Box::new(key)));
        }
        if let Some(encoded) = text.strip_prefix("whsk_") {
            let bytes = BASE64.decode(encoded).unwrap_or_default();
            let pair = match bytes.split_at_checked(SEED_BYTES) {
                Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed).ok(),
                Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok(),
                None => None,
            };
            let message = "`whsk_` must be followed by the base64 of an ed25519 key: its seed of 32 bytes, or the \
                           seed and the public key";
            return pair.map(Self::Asymmetric).ok_or(message);
        }
        if text.starts_with("whpk_") {
            return Err("this is a public key; the sender signs with the secret key, `whsk_`");
        }
        Err("must begin with `whsec_` (symmetric) or `whsk_` (ed25519)")
    }

    /// The signature of the bytes that are sent, with its version.
    fn signature(&self, start: &[u8], body: &RequestBody) -> String {
        match self {
            Self::Symmetric(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(start);
                body.parts().for_each(|part| context.update(part));
                format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
            }
            Self::Asymmetric(pair) => {
                let mut message = start.to_vec();
                body.parts()
                    .for_each(|part| message.extend_from_slice(part));
                format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(&message)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    /// The published test vector.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT_AT: i64 = 1_614_265_330;
    const BODY: &str = "{\"test\": 2432232314}";
    const EXPECTED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signer(mut options: Value) -> Result<Option<Signer>, BuildError> {
        options["url"] = "https://example.com".into();
        Signer::new(&serde_json::from_value(options).unwrap())
    }

    fn signed(options: Value, body: &RequestBody) -> HeaderMap {
        let signer = signer(options).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        signer.sign(
            HeaderValue::from_static(MESSAGE),
            SENT_AT,
            body,
            &mut headers,
        );
        headers
    }

    fn body() -> RequestBody {
        Bytes::from_static(BODY.as_bytes()).into()
    }

    #[test]
    fn the_published_vector_is_signed_as_published() {
        let headers = signed(json!({ "signing_secret": SECRET }), &body());
        assert_eq!(headers[SIGNATURE], EXPECTED);
        assert_eq!(headers[ID], MESSAGE);
        assert_eq!(headers[TIMESTAMP], "1614265330");
        let unpadded = json!({ "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA" });
        assert!(signer(unpadded).is_ok());
    }

    #[test]
    fn the_parts_of_a_body_are_signed_as_one() {
        let mut parts = RequestBody::default();
        for part in ["{\"te", "st\": ", "2432232314}"] {
            parts.push(part);
        }
        let headers = signed(json!({ "signing_secret": SECRET }), &parts);
        assert_eq!(headers[SIGNATURE], EXPECTED);
    }

    #[test]
    fn during_a_rotation_both_secrets_sign() {
        let other = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
        let both = json!({ "signing_secrets": [other, SECRET] });
        let headers = signed(both, &body());
        let all: Vec<_> = headers[SIGNATURE].to_str().unwrap().split(' ').collect();
        assert_eq!(all.len(), 2);
        assert_ne!(all[0], EXPECTED);
        assert_eq!(all[1], EXPECTED);
    }

    #[test]
    fn an_ed25519_signature_is_verified_by_the_public_key() {
        let seed = [42; SEED_BYTES];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = pair.public_key().as_ref();
        let whole = [&seed[..], public].concat();
        for bytes in [&seed[..], &whole] {
            let secret = format!("whsk_{}", BASE64_STANDARD.encode(bytes));
            let headers = signed(json!({ "signing_secret": secret }), &body());
            let signature = headers[SIGNATURE].to_str().unwrap();
            let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap());
            let message = format!("{MESSAGE}.{SENT_AT}.{BODY}");
            let verified = UnparsedPublicKey::new(&ED25519, public);
            let verified = verified.verify(message.as_bytes(), &signature.unwrap());
            assert!(verified.is_ok());
        }
    }

    #[test]
    fn a_secret_that_is_no_key_is_refused_without_repeating_it() {
        let key =
            |prefix: &str, length| format!("{prefix}{}", BASE64_STANDARD.encode(vec![1; length]));
        let cases = [
            ("s3cret".to_owned(), "must begin with `whsec_`"),
            ("whsec_s3cret!".to_owned(), "`whsec_` must be followed by"),
            (key("whsec_", 23), "`whsec_` must be followed by"),
            (key("whsec_", 65), "`whsec_` must be followed by"),
            (key("whsk_", 31), "`whsk_` must be followed by"),
            (key("whsk_", 64), "`whsk_` must be followed by"),
            (key("whpk_", 32), "this is a public key"),
        ];
        for (secret, expected) in cases {
            let error = signer(json!({ "signing_secrets": [SECRET, secret] }));
            let error = error.err().unwrap().to_string();
            let expected = format!("`signing_secrets[1]`: {expected}");
            assert!(error.starts_with(&expected), "{error}");
            assert!(!error.contains(&secret), "{error}");
        }
        let both = json!({ "signing_secret": SECRET, "signing_secrets": [SECRET] });
        let error = signer(both).err().unwrap().to_string();
        assert_eq!(
            error,
            "`signing_secrets`: set either this or `signing_secret`"
        );
        for list in [vec![], vec![SECRET; 6]] {
            let error = signer(json!({ "signing_secrets": list })).err().unwrap();
            assert_eq!(error.message, "list 1 to 5 secrets");
        }
        assert!(signer(json!({})).unwrap().is_none());
    }
}
