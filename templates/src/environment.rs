//! The environment of all templates. Rendering is bounded in work and output, so that a template can neither stall the
//! process nor fill its memory.

use minijinja::{Environment, UndefinedBehavior};

use crate::bounded::{pprint, tojson};

/// What rendering one template may cost: about as many steps, or 64 bytes for each of them.
const FUEL: u64 = 200_000;

/// What a value that does not exist does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// It is empty, and so are its members.
    Empty,
    /// It fails the template, unless it is only tested: `{% if payload.owner %}`, `payload.owner or "nobody"`.
    Refused,
}

/// An environment without templates.
pub fn environment(undefined: Undefined) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    // Those of the library write everything before they count it.
    environment.add_filter("tojson", tojson);
    environment.add_filter("pprint", pprint);
    match undefined {
        Undefined::Empty => {
            environment.set_undefined_behavior(UndefinedBehavior::Chainable);
            environment.set_debug(false);
        }
        Undefined::Refused => {
            environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
            // The error then names the value.
            environment.set_debug(true);
        }
    }
    environment
}
