//! One adapter in each family, with options of every shape an adapter has. It is never built.

use std::collections::BTreeMap;

use acteon_config::Adapters;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;
use acteon_core::{BuildError, Factory, Family, Registry, Secret};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Default)]
pub(super) struct Registries {
    sources: Registry<Sources>,
    sinks: Registry<Sinks>,
    states: Registry<States>,
    audits: Registry<Audits>,
}

impl Registries {
    pub(super) fn new() -> Self {
        let mut all = Self::default();
        all.sources.register(Shapes);
        all.sinks.register(Shapes).register(Log);
        all.states.register(Memory).register(Shapes);
        all.audits.register(Memory).register(Shapes);
        all
    }

    pub(super) fn adapters(&self) -> Adapters<'_> {
        Adapters {
            sources: &self.sources,
            sinks: &self.sinks,
            states: &self.states,
            audits: &self.audits,
        }
    }
}

macro_rules! adapter {
    ($name:ident, $kind:literal, $options:ty, $($family:ty),+) => {
        struct $name;
        $(#[async_trait]
        impl Factory<$family> for $name {
            const KIND: &'static str = $kind;
            type Config = $options;

            async fn build(
                &self,
                _: $options,
                _: <$family as Family>::Context,
            ) -> Result<<$family as Family>::Product, BuildError> {
                Err(BuildError::new("only its options are read"))
            }
        })+
    };
}

adapter!(Shapes, "shapes", Options, Sources, Sinks, States, Audits);
adapter!(Log, "log", NoOptions, Sinks);
adapter!(Memory, "memory", NoOptions, States, Audits);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Options {
    url: Secret,
    topics: Vec<String>,
    #[serde(default)]
    codec: Codec,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    client: BTreeMap<String, Secret>,
    #[serde(default)]
    auth: Option<Auth>,
    #[serde(default)]
    hosts: Vec<Host>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Codec {
    #[default]
    Json,
    Raw,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Auth {
    Bearer { token: Secret },
    Basic { username: String, password: Secret },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Host {
    name: String,
    weight: i64,
    #[serde(default)]
    token: Option<Secret>,
}
