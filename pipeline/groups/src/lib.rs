//! The pure part of groups: when a digest is due, how members and frozen settings are encoded, and the summary that is
//! sent, by default or by a template. Everything here is a function of its arguments, the time included; the state keeps
//! the members, and the pipeline delivers the summaries.

mod digest;
mod encoding;
mod member;
mod note;
mod settings;
mod summary;
mod template;

pub use acteon_templates::{TemplateError, TemplateProblem};
pub use digest::{DAYS_MAX, DigestTimes, TIMES_MAX};
pub use encoding::GroupEncodingError;
pub use member::Member;
pub use note::FlushNote;
pub use settings::GroupSettings;
pub use summary::{EVENTS_WHEN_TOO_LARGE, GroupFacts, Summary, SummaryPayload};
pub use template::SummaryTemplate;

#[cfg(test)]
mod tests;
