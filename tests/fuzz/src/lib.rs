//! Feeds arbitrary bytes to every parser of outside input: actions, rule files, CEL, configuration.
//!
//! A [`Target`] takes any bytes and panics when a property is violated. `make fuzz` drives the targets with libFuzzer,
//! which follows the branches an input takes; the tests here run every input of `corpus/` and random mutations of them.
//! Both run each input on a small stack and with little memory: see [`Target::run`].
//!
//! An input with several parts separates them by lines of `=====`, so that people can read and write it.

mod bounds;
mod cel;
mod config;
mod decide;
mod decode;
mod mutation;
mod parts;
mod rules;

pub use mutation::Mutation;

/// A parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its folder below `corpus/`.
    pub name: &'static str,
    feed: fn(&[u8]) -> Reading,
}

/// The outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The input is valid.
    Accepted,
    /// The input was refused with a reason.
    Refused,
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "decode",
        feed: decode::feed,
    },
    Target {
        name: "rules",
        feed: rules::feed,
    },
    Target {
        name: "decide",
        feed: decide::feed,
    },
    Target {
        name: "cel",
        feed: cel::feed,
    },
    Target {
        name: "config",
        feed: config::feed,
    },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Feeds it `input`, and panics when a property is violated. Deep recursion overflows the small stack, and
    /// too large an allocation fails: both end the process.
    pub fn run(self, input: &[u8]) -> Reading {
        bounds::within(|| (self.feed)(input))
    }
}

#[cfg(test)]
mod tests;
