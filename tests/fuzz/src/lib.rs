//! What reads from outside, fed with anything: actions, rule files, CEL, configuration.
//!
//! A [`Target`] takes any bytes and panics when something that must hold does not. `make fuzz` drives the targets with
//! libFuzzer, which follows the branches an input takes; the tests here run every input of `corpus/` and random changes
//! of them. Both run each input on a small stack and with little memory: see [`Target::run`].
//!
//! An input that needs several parts has them between lines of `=====`, so that it can be read and written by hand.

mod bounds;
mod cel;
mod config;
mod decide;
mod decode;
mod mutation;
mod parts;
mod rules;

pub use mutation::Mutation;

/// Something to feed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its folder below `corpus/`.
    pub name: &'static str,
    feed: fn(&[u8]) -> Reading,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It means something.
    Accepted,
    /// It was told what is wrong with it.
    Refused,
}

/// All of them.
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

    /// Feeds it `input`, and panics when what it promises does not hold. Deep recursion overflows the small stack, and
    /// too large an allocation fails: both end the process.
    pub fn run(self, input: &[u8]) -> Reading {
        bounds::within(|| (self.feed)(input))
    }
}

#[cfg(test)]
mod tests;
