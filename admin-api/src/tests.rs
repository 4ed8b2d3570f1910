mod audit;
mod audit_wait;
mod bodies;
mod bulk;
mod dead_letters;
mod document;
mod errors;
mod redeliveries;
mod replay;
mod replay_claims;
mod rules;
mod samples;
mod scopes;
mod status;
mod times;
mod typos;
mod world;

use world::{Answer, World};
