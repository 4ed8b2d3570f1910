//! A broker with a listener for TLS that requires a certificate of the client, and users with fewer rights.

use std::path::{Path, PathBuf};

use super::Rabbit;
use crate::certificates::Authority;

/// A user of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RabbitUser {
    /// May do anything.
    Guest,
    /// May write to the exchange `orders` and to no other.
    Publisher,
}

impl RabbitUser {
    /// Its name, and its password.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Publisher => "publisher",
        }
    }
}

/// A running broker with these users.
#[derive(Debug)]
pub struct SecuredRabbit {
    rabbit: Rabbit,
}

impl SecuredRabbit {
    /// Starts a broker.
    pub async fn start() -> anyhow::Result<Self> {
        let rabbit = Rabbit::start_with(|folder, port| {
            Authority::new()?.write("localhost", folder)?;
            Ok(config(folder, port))
        });
        let rabbit = rabbit.await?;
        let publisher = RabbitUser::Publisher.name();
        rabbit.control(&["add_user", publisher, publisher]).await?;
        let rights = ["set_permissions", publisher, "", "^orders$", ""];
        rabbit.control(&rights).await?;
        Ok(Self { rabbit })
    }

    /// The broker as seen without TLS.
    pub fn rabbit(&self) -> &Rabbit {
        &self.rabbit
    }

    /// The address of a user over TLS.
    pub fn url(&self, user: RabbitUser) -> String {
        let (name, port) = (user.name(), self.rabbit.tls_port);
        format!("amqps://{name}:{name}@localhost:{port}")
    }

    /// A file of the broker's folder: `authority.pem`, `client.pem` or `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.rabbit.folder.join(name)
    }
}

fn config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = {folder}/authority.pem\n\
         ssl_options.certfile = {folder}/server.pem\n\
         ssl_options.keyfile = {folder}/server.key\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = true\n"
    )
}
