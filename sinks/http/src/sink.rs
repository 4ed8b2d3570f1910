//! Delivers an action: writes the request by the preset, sends it, and judges the answer.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use acteon_core::sink::SinkContext;
use acteon_core::{
    Action, Attempt, BuildError, Factory, FailureCode, Faults, OrderedSink, ProviderResponse, Sink,
    SinkError, Sinks,
};
use acteon_sinks_kit::{ClientOptions, HttpClient, Roots, SuccessCodes};
use async_trait::async_trait;
use compact_str::CompactString;
use minijinja::{Environment, Value};
use tokio::task::{JoinError, spawn_blocking};

use crate::answer::{AnswerJudge, Judged};
use crate::config::HttpConfig;
use crate::error;
use crate::events;
use crate::filters::{path_environment, preset_environment};
use crate::preset::Preset;
use crate::request::{RequestWriter, WrittenRequest, holds};
use crate::shipped::{read, shipped, whole};
use crate::values::{self, PresetValues};

/// How many further requests one attempt may send.
const AGAIN_MAX: u32 = 2;
/// Longer payloads are written on a thread for blocking work.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// The maximum size of a file with a preset.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The factory of the `http` sink. All its sinks share the root certificates.
#[derive(Default)]
pub struct Http {
    roots: Roots,
}

#[async_trait]
impl Factory<Sinks> for Http {
    const KIND: &'static str = "http";
    type Config = HttpConfig;

    async fn build(
        &self,
        config: HttpConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(HttpSink::new(&config, &context, &self.roots)?))
    }
}

/// Sends each action as the request of its preset.
pub struct HttpSink {
    provider: CompactString,
    templates: Arc<PresetTemplates>,
    options: Value,
    client: HttpClient,
}

/// A preset, and the environments of its templates.
struct PresetTemplates {
    preset: Preset,
    environment: Environment<'static>,
    /// That of paths.
    paths: Environment<'static>,
}

impl HttpSink {
    /// A sink with these options. It reads a preset's file and does not connect.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(
        config: &HttpConfig,
        context: &SinkContext,
        roots: &Roots,
    ) -> Result<Self, BuildError> {
        let (at, preset) = preset(config)?;
        let preset = whole(preset)?;
        let mut faults = Faults::default();
        faults.keep(values::check(&preset, at));
        let options = faults.keep(values::options(&preset.options, &config.options));
        let options = faults.end(options)?;
        let environment = preset_environment();
        let shown = values::option_values(&options);
        let url = base_url(&environment, &preset, &shown)?;
        let secret = |name: &String| preset.options.get(name).is_some_and(|option| option.secret);
        let secrets = options.iter().filter(|(name, _)| secret(name));
        let client = HttpClient::new(
            ClientOptions {
                option: "options",
                url: &url,
                connection: &config.connection,
                success: SuccessCodes::default(),
                credentials: secrets.map(|(_, value)| value.clone()).collect(),
                roots,
            },
            context,
        )?;
        Ok(Self {
            provider: context.name.clone(),
            templates: Arc::new(PresetTemplates {
                preset,
                environment,
                paths: path_environment(),
            }),
            options: shown,
            client,
        })
    }

    /// The request for these values, written on a thread for blocking work if the payload is long.
    async fn request(
        &self,
        values: PresetValues,
        payload_bytes: usize,
    ) -> Result<(PresetValues, WrittenRequest), SinkError> {
        if payload_bytes <= INLINE_BYTES_MAX {
            return self.templates.write(values);
        }
        let templates = self.templates.clone();
        match spawn_blocking(move || templates.write(values)).await {
            Ok(written) => written,
            Err(ended) => std::panic::resume_unwind(JoinError::into_panic(ended)),
        }
    }
}

impl PresetTemplates {
    /// The request for these values, and the values with the texts of the preset.
    fn write(&self, mut values: PresetValues) -> Result<(PresetValues, WrittenRequest), SinkError> {
        values::render_texts(&self.environment, &self.preset, &mut values)?;
        let request = self.request(&values)?;
        Ok((values, request))
    }

    /// The first request whose condition holds.
    fn request(&self, values: &PresetValues) -> Result<WrittenRequest, SinkError> {
        for (number, request) in self.preset.requests.iter().enumerate() {
            let place = format!("requests[{number}]");
            if let Some(when) = &request.when {
                let applies = holds(&self.environment, when, values).map_err(|failed| {
                    let failed = acteon_templates::TemplateError::Failed(Box::new(failed));
                    error::template(&format!("{place}.when"), &failed)
                })?;
                if !applies {
                    continue;
                }
            }
            let writer = RequestWriter {
                environment: &self.environment,
                paths: &self.paths,
                place,
                values,
            };
            return writer.write(request);
        }
        let message = "the preset has no request whose `when` holds for this action";
        Err(SinkError::permanent(FailureCode::Serialization, message))
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let mut values = values::attempt_values(&self.options, attempt);
        let mut again_left = AGAIN_MAX;
        loop {
            let written = self.request(values, attempt.action.payload.len()).await?;
            let request;
            (values, request) = written;
            let client = self.client.at(&request.path, &request.query);
            let sent = client.send(request.method, request.headers, request.body.into());
            let sent = sent.await;
            let judge = AnswerJudge {
                provider: &self.provider,
                preset: &self.templates.preset,
                environment: &self.templates.environment,
                client: &client,
                values: &values,
            };
            match judge.judge(sent) {
                Judged::End(result) => return *result,
                Judged::Again { sent, .. } if again_left == 0 => {
                    return Err(judge.refused_again(*sent));
                }
                Judged::Again { with, .. } => {
                    events::sends_again(&self.provider, client.host());
                    again_left -= 1;
                    merge(&mut values, with);
                }
            }
        }
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        self.client.dial().await.map(Some)
    }

    fn as_ordered(&self) -> Option<&dyn OrderedSink> {
        self.templates.preset.ordering_key.is_some().then_some(self)
    }
}

impl OrderedSink for HttpSink {
    fn ordering_key(&self, action: &Action) -> Option<CompactString> {
        let attempt = Attempt {
            action,
            idempotency_key: &action.id,
            number: 1,
            progress: None,
        };
        let mut values = values::attempt_values(&self.options, attempt);
        let PresetTemplates {
            preset,
            environment,
            ..
        } = &*self.templates;
        values::render_texts(environment, preset, &mut values).ok()?;
        let template = preset.ordering_key.as_deref()?;
        let key = values::render_text(environment, template, values).ok()?;
        (!key.is_empty()).then(|| key.into())
    }
}

/// Adds to `again`, so that a second change keeps the first.
fn merge(values: &mut PresetValues, with: PresetValues) {
    let before = values.remove("again").unwrap_or_default();
    let names = before.try_iter().into_iter().flatten();
    let mut again: PresetValues = names
        .filter_map(|name| Some((name.to_string(), before.get_item(&name).ok()?)))
        .collect();
    again.extend(with);
    values.insert("again".to_owned(), Value::from(again));
}

/// The preset, and the beginning of its options' names in messages.
fn preset(config: &HttpConfig) -> Result<(&'static str, Preset), BuildError> {
    let HttpConfig {
        preset,
        preset_file,
        definition,
        ..
    } = config;
    match (preset, preset_file, definition) {
        (Some(name), None, None) => Ok(("preset.", shipped(name)?)),
        (None, Some(path), None) => {
            let wrong = |message: String| BuildError::at("preset_file", message);
            let text = text_of(path);
            let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
            if text.len() as u64 > FILE_BYTES_MAX {
                return Err(wrong(format!("a preset may have {FILE_BYTES_MAX} bytes")));
            }
            Ok(("preset_file.", read(&text).map_err(wrong)?))
        }
        (None, None, Some(definition)) => Ok(("definition.", definition.clone())),
        (None, None, None) => {
            let message = "set this, `preset_file` or `definition`";
            Err(BuildError::at("preset", message))
        }
        _ => {
            let message = "set only one of `preset`, `preset_file` and `definition`";
            Err(BuildError::at("preset", message))
        }
    }
}

/// The text of a file, as far as a preset may be long and one byte more: devices and pipes have no length.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The URL of the provider, from its options.
fn base_url(
    environment: &Environment<'static>,
    preset: &Preset,
    options: &Value,
) -> Result<String, BuildError> {
    let values = PresetValues::from([("options".to_owned(), options.clone())]);
    let url = environment.render_str(&preset.base_url, Value::from(values));
    url.map_err(|error| {
        let error = acteon_templates::TemplateError::Failed(Box::new(error));
        BuildError::at("options", format!("`base_url`: {}", error.without_values()))
    })
}
