mod audit;
mod bulk;
mod dead_letters;
mod document;
mod errors;
mod redeliveries;
mod replay;
mod rules;
mod scopes;
mod status;
mod typos;
mod world;

use world::{Answer, World};
