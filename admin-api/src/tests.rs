mod audit;
mod audit_wait;
mod dead_letters;
mod document;
mod errors;
mod redeliveries;
mod replay;
mod rules;
mod scopes;
mod status;
mod world;

use world::{Answer, World};
