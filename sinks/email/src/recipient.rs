//! Addresses: parses them, normalizes their domains, and identifies recipients across attempts.

use lettre::Address;
use lettre::message::Mailbox;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Host;

/// The field of the payload that names a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecipientField {
    To,
    Cc,
    Bcc,
}

impl RecipientField {
    fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
        }
    }
}

/// A recipient of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) field: RecipientField,
    pub(crate) address: Address,
}

impl Recipient {
    /// Identifies the recipient in later attempts: 64 bits of a hash, in hex digits.
    pub(crate) fn digest(&self) -> String {
        let hash = Sha256::digest(self.address.to_string());
        hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The entry in reports. The address is under the name of its field, so that redacting the field in payloads redacts
    /// it here too.
    pub(crate) fn report_entry(&self) -> Value {
        json!({ self.field.as_str(): self.address.to_string() })
    }
}

/// True if only a server with SMTPUTF8 accepts the address.
pub(crate) fn needs_smtputf8(address: &Address) -> bool {
    !address.user().is_ascii()
}

/// Parses `user@domain` or `Name <user@domain>`. `None` if the text is neither.
pub(crate) fn parse_mailbox(text: &str) -> Option<Mailbox> {
    if text.contains(char::is_control) {
        return None;
    }
    let mailbox: Mailbox = text.trim().parse().ok()?;
    let address = normalized(&mailbox.email)?;
    Some(Mailbox::new(mailbox.name, address))
}

/// The address with its domain in lower case and in the ASCII form of DNS. Only the part before the `@` may then need
/// SMTPUTF8.
fn normalized(address: &Address) -> Option<Address> {
    let domain = address.domain();
    if domain.starts_with('[') {
        return Some(address.clone());
    }
    let domain = match Host::parse(domain) {
        Ok(Host::Domain(domain)) => domain,
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => domain.to_owned(),
        Err(_) => return None,
    };
    Address::new(address.user(), domain).ok()
}
