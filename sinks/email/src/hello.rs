//! The host name in EHLO, and the capabilities in its reply.

use std::net::IpAddr;

use acteon_core::BuildError;

use crate::config::SmtpAuth;
use crate::reply::SmtpReply;

/// The configured name, or else the name of this host if it has a dot. `None` if the address of the connection must be
/// used.
pub(crate) fn hello_name(configured: Option<&str>) -> Result<Option<String>, BuildError> {
    if let Some(name) = configured {
        let message =
            "must be the full name of a host, or an address in brackets such as [192.0.2.1]";
        return is_hello_name(name)
            .then(|| Some(name.to_owned()))
            .ok_or_else(|| BuildError::at("hello_name", message));
    }
    let own = hostname::get()
        .ok()
        .and_then(|name| name.into_string().ok());
    Ok(own.filter(|name| name.contains('.') && is_hello_name(name)))
}

fn is_hello_name(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    !name.is_empty() && name.len() <= 255 && name.bytes().all(is_allowed)
}

/// An address literal (RFC 5321, 4.1.3).
pub(crate) fn address_literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => format!("[{address}]"),
            None => format!("[IPv6:{address}]"),
        },
    }
}

/// The capabilities of a server that this sink uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SmtpCapabilities {
    pub(crate) starttls: bool,
    pub(crate) smtputf8: bool,
    /// MAIL takes the size of the message.
    pub(crate) size: bool,
    pub(crate) auth: Vec<SmtpAuth>,
}

impl SmtpCapabilities {
    /// Reads the reply to EHLO.
    pub(crate) fn of(reply: &SmtpReply) -> Self {
        let mut capabilities = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // Some servers use `AUTH=PLAIN`, the form from before the standard.
            let mut words = line.split([' ', '=']);
            match words.next() {
                Some("STARTTLS") => capabilities.starttls = true,
                Some("SMTPUTF8") => capabilities.smtputf8 = true,
                Some("SIZE") => capabilities.size = true,
                Some("AUTH") => capabilities.auth.extend(words.filter_map(mechanism)),
                _ => {}
            }
        }
        capabilities
    }
}

fn mechanism(name: &str) -> Option<SmtpAuth> {
    match name {
        "PLAIN" => Some(SmtpAuth::Plain),
        "LOGIN" => Some(SmtpAuth::Login),
        "XOAUTH2" => Some(SmtpAuth::Xoauth2),
        _ => None,
    }
}
