//! Configuration: settings or problems, the same on a second read, and no secret in either.
//!
//! Parts: the file, then variables and flags, each a line `NAME=value`.

use std::sync::LazyLock;

use acteon_config::{Adapters, Inputs, Location, PipelineKeys, ProblemList, ResolvedConfig, load};
use acteon_pipeline::{PipelineSections, ProviderLimits, TrailOptions};
use memchr::memmem;

use crate::Reading;
use crate::config::adapters::Registries;
use crate::parts::{split, text};

mod adapters;

/// The value of `env:TOKEN`.
const SECRET: &str = "hush-7d1f0c55";

/// The pipeline's types.
#[derive(Debug)]
struct ServerPipeline;

impl PipelineKeys for ServerPipeline {
    type Sections = PipelineSections;
    type TrailKeys = TrailOptions;
    type ProviderKeys = ProviderLimits;
}

static REGISTRIES: LazyLock<Registries> = LazyLock::new(Registries::new);

pub(crate) fn feed(input: &[u8]) -> Reading {
    let [file, variables, flags] = split(input);
    let written = tempfile::NamedTempFile::new().and_then(|place| {
        std::fs::write(place.path(), file)?;
        Ok(place)
    });
    let place = written.unwrap_or_else(|error| panic!("no file to read from: {error}"));
    let mut environment = pairs(variables);
    environment.push(("TOKEN".into(), SECRET.into()));
    let inputs = Inputs {
        path: Some(place.path().to_owned()),
        environment,
        flags: pairs(flags),
    };
    let adapters = REGISTRIES.adapters();
    let first = read(&inputs, adapters);
    assert_eq!(first, read(&inputs, adapters), "read twice");
    let reading = match &first {
        Ok(_) => Reading::Accepted,
        Err(_) => Reading::Refused,
    };
    if memmem::find(input, SECRET.as_bytes()).is_none() {
        let shown = first.unwrap_or_else(|errors| errors.to_string());
        assert!(!shown.contains(SECRET), "a secret shows: {shown}");
    }
    reading
}

fn pairs(lines: &[u8]) -> Vec<(String, String)> {
    let text = text(lines);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn read(inputs: &Inputs, adapters: Adapters<'_>) -> Result<String, ProblemList> {
    let settings: Result<ResolvedConfig<ServerPipeline>, _> = load(inputs, &adapters);
    if let Err(errors) = &settings {
        assert!(!errors.is_empty(), "refused without a problem");
        for problem in errors.iter() {
            assert!(!problem.message.is_empty(), "{problem}");
            if let Location::File { line, column, .. } = &problem.location {
                assert!(*line > 0 && *column > 0, "{problem}");
            }
        }
    }
    settings.map(|settings| format!("{settings:?}"))
}
