//! The contract of each port as a list of clauses: plain async functions over a harness. An adapter writes the harness,
//! names it once, and gets one test per clause: [`state_contract!`](crate::state_contract),
//! [`audit_contract!`](crate::audit_contract), [`broker_contract!`](crate::broker_contract).

pub mod audit;
pub mod broker;
pub mod state;

use std::time::Duration;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use tokio::runtime::Builder;
use tokio::time::{advance, sleep};

/// The clock that a backend uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The clock of this process. Time is paused and jumps when a clause advances it.
    Virtual,
    /// The clock of a server. Time really passes.
    Real,
}

impl Pace {
    /// Lets time pass.
    pub async fn pass(self, time: Duration) {
        match self {
            Self::Virtual => advance(time).await,
            Self::Real => sleep(time).await,
        }
    }

    /// Runs a clause to completion.
    pub fn run<T>(self, clause: impl Future<Output = T>) -> T {
        let runtime = match self {
            Self::Virtual => Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build(),
            Self::Real => Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build(),
        };
        runtime.expect("a runtime").block_on(clause)
    }

    /// The number of random cases worth their time.
    fn cases(self) -> u32 {
        match self {
            Self::Virtual => 256,
            Self::Real => 8,
        }
    }
}

/// Checks `property` for random values. A failure prints the seed; `PROPTEST_RNG_SEED` repeats it.
fn for_all<S: Strategy>(
    pace: Pace,
    values: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut config = Config {
        cases: pace.cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fresh_seed(),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    if let Err(error) = TestRunner::new(config).run(values, property) {
        panic!("{error}\nrepeat it with PROPTEST_RNG_SEED={seed}");
    }
}

fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("seed")
}

/// One test for each clause: `contract_tests!(port, harness, [clause ...], pace)`.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($port:ident, $harness:expr, [$($clause:ident)*]) => {
        $(#[test]
        fn $clause() {
            let harness = $harness;
            let pace = $crate::contract::$port::pace_of(&harness);
            pace.run($crate::contract::$port::$clause(&harness));
        })*
    };
    (parallel $port:ident, $harness:expr, [$($clause:ident)*]) => {
        $(#[test]
        fn $clause() {
            let harness = $harness;
            $crate::contract::Pace::Real.run($crate::contract::$port::$clause(&harness));
        })*
    };
    (property $port:ident, $harness:expr, [$($property:ident)*]) => {
        $(#[test]
        fn $property() {
            $crate::contract::$port::$property(|| $harness);
        })*
    };
}
