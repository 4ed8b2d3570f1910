//! Features of the pipeline through its public interface, with real memory state, recording sinks and virtual time.

mod audit;
mod bench;
mod decide;
mod dedup;
mod delivery;
mod event_batches;
mod event_failures;
mod event_leases;
mod event_targets;
mod events;
mod gather;
mod group_property;
mod groups;
mod hanging_state;
mod holds;
mod isolation;
mod leases;
mod progress;
mod property;
mod redelivery;
mod sequence_property;
mod sequences;
mod silences;
mod state_loss;
mod templates;
mod throttle;
mod trail;

use self::bench::{Bench, Provider};
