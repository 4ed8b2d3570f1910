//! Credentials files, as `nsc` writes them: a JSON Web Token that names the user, and the key that signs the server's
//! challenge.

use std::path::Path;

use nkeys::KeyPair;

/// A user, and the key that proves it.
pub(crate) struct NatsCredentials {
    pub(crate) token: String,
    key: KeyPair,
}

impl NatsCredentials {
    /// Reads a file. The error does not repeat its contents.
    pub(crate) async fn read(path: &Path) -> Result<Self, String> {
        let text = tokio::fs::read_to_string(path).await;
        Self::parse(text.map_err(|error| error.to_string()), path)
    }

    /// Reads a file before the server runs.
    pub(crate) fn read_now(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path);
        Self::parse(text.map_err(|error| error.to_string()), path)
    }

    fn parse(text: Result<String, String>, path: &Path) -> Result<Self, String> {
        let path = path.display();
        let text = text.map_err(|error| format!("{path} cannot be read: {error}"))?;
        let mut sections = sections(&text);
        let (Some(token), Some(seed)) = (sections.next(), sections.next()) else {
            return Err(format!("{path} does not contain a user and its key"));
        };
        match KeyPair::from_seed(seed) {
            Ok(key) => Ok(Self {
                token: token.to_owned(),
                key,
            }),
            Err(_) => Err(format!("the key in {path} is not a key of NATS")),
        }
    }

    /// Signs the challenge of a server.
    pub(crate) fn sign(&self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        let signed = self.key.sign(challenge);
        signed.map_err(|_| "the key of the credentials file cannot sign".to_owned())
    }
}

/// The lines below each `-----BEGIN ...-----`.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let begin = |line: &&str| line.starts_with("---") && line.contains("BEGIN");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    std::iter::from_fn(move || {
        lines.find(begin)?;
        lines.next()
    })
}
