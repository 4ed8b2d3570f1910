//! Templates in the language of Jinja, bounded in work and output: the environment that they run in, JSON trees whose
//! strings are templates, and the templates of providers. Everything here is a function of its arguments; the pipeline
//! reads the files and swaps the sets.
#![deny(missing_docs)]

mod bounded;
mod depth;
mod environment;
mod error;
mod fields;
mod layout;
mod set;
mod tree;
mod values;

pub use bounded::{OUTPUT_BYTES_MAX, indented_json, json_of, text_of};
pub use depth::depth;
pub use environment::{Undefined, environment};
pub use error::{TemplateError, TemplateFault, TemplateProblem};
pub use fields::Rendered;
pub use set::{TemplateFile, TemplateSet};
pub use tree::{Absent, TreeRendering, check_text, check_text_in};
pub use values::{action_values, example_action};

#[cfg(test)]
mod tests;
