//! A server with TLS, users with a password, a user who may not publish, and users with a credentials file.

use std::path::{Path, PathBuf};

use super::Nats;
use crate::certificates::Authority;

/// A user of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsUser {
    /// May do anything.
    Admin,
    /// May publish to `orders.>` and nothing else. May not ask for streams.
    Publisher,
    /// May not receive answers.
    Deaf,
}

impl NatsUser {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Publisher => "publisher",
            Self::Deaf => "deaf",
        }
    }

    /// The password of all users.
    pub const PASSWORD: &str = "swordfish-in-the-tests";
}

/// A running server that requires TLS, with a certificate of the client, and a password.
#[derive(Debug)]
pub struct SecuredNats {
    nats: Nats,
}

impl SecuredNats {
    /// Starts a server.
    pub async fn start() -> anyhow::Result<Self> {
        let nats = Nats::start_with(|folder| {
            Authority::new()?.write("localhost", folder)?;
            Ok(config(folder))
        });
        Ok(Self { nats: nats.await? })
    }

    /// The server.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// A file of the server's folder: `authority.pem`, `client.pem` or `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.nats.folder().join(name)
    }
}

fn config(folder: &Path) -> String {
    let folder = folder.display();
    let password = NatsUser::PASSWORD;
    format!(
        "tls: {{ cert_file: \"{folder}/server.pem\", key_file: \"{folder}/server.key\", \
         ca_file: \"{folder}/authority.pem\", verify: true }}\n\
         authorization: {{ users: [\n\
         {{ user: admin, password: {password} }}\n\
         {{ user: publisher, password: {password}, permissions: {{ publish: \"orders.>\", subscribe: \"_INBOX.>\" }} }}\n\
         {{ user: deaf, password: {password}, permissions: {{ publish: \">\", subscribe: \"none\" }} }}\n\
         ] }}\n"
    )
}
