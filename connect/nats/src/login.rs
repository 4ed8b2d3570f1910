//! How a client proves who it is.

use std::path::PathBuf;

use acteon_core::Secret;
use async_nats::Auth;

use crate::credentials::NatsCredentials;

/// One way to authenticate.
#[derive(Clone, Debug)]
pub(crate) enum NatsLogin {
    Nobody,
    User { name: String, password: Secret },
    Token(Secret),
    Credentials(PathBuf),
}

impl NatsLogin {
    /// The answer to a server's challenge. Reads the credentials file again.
    pub(crate) async fn answer(&self, challenge: &[u8]) -> Result<Auth, String> {
        let mut auth = Auth::new();
        match self {
            Self::Nobody => {}
            Self::User { name, password } => {
                auth.username = Some(name.clone());
                auth.password = Some(password.expose().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose().to_owned()),
            Self::Credentials(path) => {
                let credentials = NatsCredentials::read(path).await?;
                auth.signature = Some(credentials.sign(challenge)?);
                auth.jwt = Some(credentials.token);
            }
        }
        Ok(auth)
    }
}
