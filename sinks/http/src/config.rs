//! The options of the `http` sink.

use std::collections::BTreeMap;
use std::path::PathBuf;

use acteon_core::Secret;
use acteon_sinks_kit::ConnectionOptions;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::preset::Preset;

/// Which preset to use, and its options. One of `preset`, `preset_file` and `definition` is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The name of a preset that comes with Acteon.
    #[serde(default)]
    pub preset: Option<String>,
    /// A TOML file with a preset.
    #[serde(default)]
    pub preset_file: Option<PathBuf>,
    /// A preset, written here.
    #[serde(default)]
    pub definition: Option<Preset>,
    /// The options of the preset. PresetValues may be secrets.
    #[serde(default)]
    pub options: BTreeMap<String, Secret>,
    /// How to connect.
    #[serde(flatten)]
    pub connection: ConnectionOptions,
}
