//! A server that knows its users by their keys, as an operator with `nsc` sets it up.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::Nats;

/// A running server with an operator and one account.
#[derive(Debug)]
pub struct OperatedNats {
    nats: Nats,
    account: KeyPair,
}

impl OperatedNats {
    /// Starts a server.
    pub async fn start() -> anyhow::Result<Self> {
        let operator = KeyPair::new_operator();
        let [account, system] = [KeyPair::new_account(), KeyPair::new_account()];
        let of_operator = token(
            &operator,
            &operator.public_key(),
            &json!({"type": "operator"}),
        )?;
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let with_streams = json!({"type": "account", "limits": limits});
        let mut without = with_streams.clone();
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            without["limits"][limit] = json!(0);
        }
        let of_account = token(&operator, &account.public_key(), &with_streams)?;
        let of_system = token(&operator, &system.public_key(), &without)?;
        let config = format!(
            "operator: {of_operator}\nsystem_account: {system}\nresolver: MEMORY\n\
             resolver_preload: {{ {account}: {of_account}, {system}: {of_system} }}\n",
            account = account.public_key(),
            system = system.public_key(),
        );
        let nats = Nats::start_with(|_| Ok(config)).await?;
        Ok(Self { nats, account })
    }

    /// The server.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The content of a credentials file for a new user of the account.
    pub fn credentials(&self) -> anyhow::Result<String> {
        credentials(&self.account)
    }
}

/// The content of a credentials file for a new user of an account that no server knows.
pub fn foreign_credentials() -> anyhow::Result<String> {
    credentials(&KeyPair::new_account())
}

fn credentials(account: &KeyPair) -> anyhow::Result<String> {
    let user = KeyPair::new_user();
    let claims =
        json!({"type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}});
    let token = token(account, &user.public_key(), &claims)?;
    let seed = user.seed()?;
    Ok(format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    ))
}

/// A token about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &str, claims: &Value) -> anyhow::Result<String> {
    let mut claims = claims.clone();
    claims["version"] = json!(2);
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": subject, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "tests", "sub": subject,
        "nats": claims,
    });
    let encode = |text: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(body.to_string().as_bytes())
    );
    let signature = encode(&issuer.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
