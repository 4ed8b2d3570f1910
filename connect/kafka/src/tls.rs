//! The files that TLS needs: those named by the client properties, and the system's certificate authorities.

use std::collections::BTreeMap;
use std::fs::File;

use acteon_core::{BuildError, Secret};

/// The certificates that are trusted.
pub(crate) const AUTHORITIES_KEY: &str = "ssl.ca.location";
/// The bundled OpenSSL does not know where this system keeps its certificate authorities. With this value the client
/// searches for them.
pub(crate) const OF_THE_SYSTEM: &str = "probe";

/// Opens the files. The client does so too, but its error contains the file name; if `location` was used in place of
/// `pem`, that name is a key.
///
/// # Errors
/// The first file that cannot be read.
pub(crate) fn check_files(client: &BTreeMap<String, Secret>) -> Result<(), BuildError> {
    let names_a_file =
        |property: &str| property.starts_with("ssl.") && property.ends_with(".location");
    for (property, file) in client {
        if !names_a_file(property) || file.expose() == OF_THE_SYSTEM {
            continue;
        }
        if let Err(error) = File::open(file.expose()) {
            let message = format!("the file cannot be read: {error}");
            return Err(BuildError::at(format!("client.{property}"), message));
        }
    }
    Ok(())
}
