//! What TLS needs of the machine: the files that the client's properties name, and the system's authorities.

use std::collections::BTreeMap;
use std::fs::File;

use acteon_core::Secret;

use crate::error::OptionError;

/// Whose certificates are trusted.
pub(crate) const AUTHORITIES_KEY: &str = "ssl.ca.location";
/// The OpenSSL that is built in does not know where this system keeps its authorities; told this, the client looks.
pub(crate) const OF_THE_SYSTEM: &str = "probe";

/// Opens the files. The client does so, too, but its error tells the name; and where `location` was taken for `pem`,
/// the name is a key.
///
/// # Errors
/// The first that cannot be read.
pub(crate) fn check_files(client: &BTreeMap<String, Secret>) -> Result<(), OptionError> {
    let names_a_file =
        |property: &str| property.starts_with("ssl.") && property.ends_with(".location");
    for (property, file) in client {
        if !names_a_file(property) || file.expose() == OF_THE_SYSTEM {
            continue;
        }
        if let Err(error) = File::open(file.expose()) {
            let message = format!("the file that `{property}` names cannot be read: {error}");
            return Err(OptionError::Refused { message });
        }
    }
    Ok(())
}
