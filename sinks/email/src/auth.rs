//! Authentication: the credentials, and the lines that each mechanism sends.

use std::sync::Arc;

use acteon_core::{BuildError, Secret};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::config::{EmailConfig, SmtpAuth};
use crate::hidden::longest_first;

/// The credentials and the configured mechanism.
pub(crate) struct SmtpLogin {
    username: String,
    password: Secret,
    mechanism: Option<SmtpAuth>,
}

impl SmtpLogin {
    /// The login in these options, if there is one.
    ///
    /// # Errors
    /// If the username or the password is missing or cannot be sent.
    pub(crate) fn new(config: &EmailConfig) -> Result<Option<Self>, BuildError> {
        let wrong = |option, message: &str| Err(BuildError::at(option, message));
        match (&config.username, &config.password) {
            (None, None) if config.auth.is_some() => {
                wrong("auth", "requires `username` and `password`")
            }
            (None, None) => Ok(None),
            (Some(_), None) => wrong("password", "is required with `username`"),
            (None, Some(_)) => wrong("username", "is required with `password`"),
            (Some(username), Some(password)) => {
                if username.is_empty() || username.contains(char::is_control) {
                    return wrong("username", "must be one line of text and not empty");
                }
                if password.expose().is_empty() || password.expose().contains(char::is_control) {
                    return wrong("password", "must be one line of text and not empty");
                }
                Ok(Some(Self {
                    username: username.clone(),
                    password: password.clone(),
                    mechanism: config.auth,
                }))
            }
        }
    }

    /// The mechanism to use with a server that offers these, if there is one.
    pub(crate) fn mechanism(&self, offered: &[SmtpAuth]) -> Option<SmtpAuth> {
        let preferred = [SmtpAuth::Plain, SmtpAuth::Login];
        let wanted = match &self.mechanism {
            Some(mechanism) => std::slice::from_ref(mechanism),
            None => &preferred[..],
        };
        wanted.iter().copied().find(|one| offered.contains(one))
    }

    /// The lines to send. The server asks for each line after the first one with 334.
    pub(crate) fn lines(&self, mechanism: SmtpAuth) -> Vec<String> {
        let password = self.password.expose();
        match mechanism {
            SmtpAuth::Plain => vec![format!("AUTH PLAIN {}", self.plain())],
            SmtpAuth::Login => vec![
                "AUTH LOGIN".to_owned(),
                BASE64_STANDARD.encode(&self.username),
                BASE64_STANDARD.encode(password),
            ],
            // A 334 after the first line contains the reason of a refusal. The empty line requests the refusal itself.
            SmtpAuth::Xoauth2 => vec![format!("AUTH XOAUTH2 {}", self.xoauth2()), String::new()],
        }
    }

    /// The password in every form in which it is sent, also without the padding, which a reply may cut off.
    pub(crate) fn secrets(&self) -> Arc<[String]> {
        let password = self.password.expose();
        let mut forms = vec![
            self.plain(),
            self.xoauth2(),
            BASE64_STANDARD.encode(password),
        ];
        for at in 0..forms.len() {
            forms.push(forms[at].trim_end_matches('=').to_owned());
        }
        forms.push(password.to_owned());
        longest_first(forms)
    }

    fn plain(&self) -> String {
        BASE64_STANDARD.encode(format!("\0{}\0{}", self.username, self.password.expose()))
    }

    fn xoauth2(&self) -> String {
        let user = &self.username;
        let token = self.password.expose();
        BASE64_STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
    }
}
