//! The presets that come with Acteon: files of data, each described in the guide.

use acteon_core::BuildError;

use crate::preset::Preset;

/// The presets by name.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("discord", include_str!("../presets/discord.toml")),
    ("generic", include_str!("../presets/generic.toml")),
    ("jsm", include_str!("../presets/jsm.toml")),
    ("opsgenie", include_str!("../presets/opsgenie.toml")),
    ("teams", include_str!("../presets/teams.toml")),
    ("telegram", include_str!("../presets/telegram.toml")),
];

/// The preset of this name.
///
/// # Errors
/// If there is none.
pub(crate) fn shipped(name: &str) -> Result<Preset, BuildError> {
    let found = SHIPPED.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        let known: Vec<_> = SHIPPED.iter().map(|(known, _)| *known).collect();
        let message = format!("there is no preset `{name}`; known: {}", known.join(", "));
        BuildError::at("preset", message)
    })?;
    let preset = read(text).map_err(|message| BuildError::at("preset", message))?;
    whole(preset)
}

/// A preset with what it takes from the one that it extends.
///
/// # Errors
/// If there is no such preset.
pub(crate) fn whole(preset: Preset) -> Result<Preset, BuildError> {
    match preset.extends.clone() {
        Some(other) => Ok(preset.over(shipped(&other)?)),
        None => Ok(preset),
    }
}

/// Reads a preset from TOML.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read(text: &str) -> Result<Preset, String> {
    let reader = toml::Deserializer::parse(text).map_err(|error| sentence(text, &error))?;
    let read: Result<Preset, _> = serde_path_to_error::deserialize(reader);
    read.map_err(|error| {
        let path = error.path().to_string();
        let message = sentence(text, error.inner());
        match path.as_str() {
            "." => message,
            path => format!("`{path}`: {message}"),
        }
    })
}

/// The library's message on one line, with the line of the file.
fn sentence(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or_default();
            format!("line {}: {message}", before.matches('\n').count() + 1)
        }
        None => message,
    }
}
