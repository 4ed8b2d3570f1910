//! Silences: what a caller may ask for, and which actions a silence withholds. Everything here is a pure function of its
//! arguments, the time included; storing silences and withholding deliveries is left to the pipeline.

mod check;
mod matcher;
mod set;
#[cfg(test)]
mod tests;

pub use check::{SilenceBounds, SilenceProblem, check, check_comment, check_content, check_end};
pub use matcher::CompiledSilence;
pub use set::SilenceSet;
