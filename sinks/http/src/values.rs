//! The values that a preset's templates see, and the check that they name no others.

use std::collections::BTreeMap;

use acteon_core::{Attempt, BuildError, Faults, Secret, SinkError};
use acteon_templates::{
    Absent, TemplateError, TemplateProblem, TreeRendering, action_values, check_text_in,
    example_action,
};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::{Value as Json, json};

use crate::error;
use crate::filters::preset_environment;
use crate::preset::{Preset, PresetOption, PresetRequest};

/// The names of all values. `answer` exists only in `again` of an answer.
const NAMES: [&str; 9] = [
    "action",
    "payload",
    "labels",
    "options",
    "values",
    "idempotency_key",
    "attempt",
    "again",
    "answer",
];

/// The names of the values of an action, which are the same in every attempt.
const NAMES_OF_ACTION: [&str; 5] = ["action", "payload", "labels", "options", "values"];

/// The names of the values that the texts of `values` see.
const NAMES_OF_VALUES: [&str; 7] = [
    "action",
    "payload",
    "labels",
    "options",
    "idempotency_key",
    "attempt",
    "again",
];

/// Values by name.
pub(crate) type PresetValues = BTreeMap<String, Value>;

/// The options of a provider: those given, and the defaults of the others.
///
/// # Errors
/// All options that are missing or unknown.
pub(crate) fn options(
    known: &BTreeMap<String, PresetOption>,
    given: &BTreeMap<String, Secret>,
) -> Result<BTreeMap<String, Secret>, BuildError> {
    let mut faults = Faults::default();
    let wrong =
        |name: &str, message: String| Err(BuildError::at(format!("options.{name}"), message));
    for name in given.keys().filter(|name| !known.contains_key(*name)) {
        let names: Vec<_> = known.keys().map(String::as_str).collect();
        let message = match names.as_slice() {
            [] => "the preset has no options".to_owned(),
            names => format!("the preset has no such option; known: {}", names.join(", ")),
        };
        faults.keep::<()>(wrong(name, message));
    }
    let mut options = BTreeMap::new();
    for (name, option) in known {
        let value = given.get(name).cloned();
        let default = || option.default.as_deref().map(Secret::new);
        match value.or_else(default) {
            Some(value) if !value.expose().is_empty() || !option.required => {
                options.insert(name.clone(), value);
            }
            None if !option.required => {}
            _ => {
                let message = format!("the preset requires it: {}", option.description);
                faults.keep::<()>(wrong(name, message));
            }
        }
    }
    faults.end(Some(options))
}

/// The options as templates see them.
pub(crate) fn option_values(options: &BTreeMap<String, Secret>) -> Value {
    let pairs = options.iter();
    let pairs = pairs.map(|(name, value)| (name.clone(), Value::from(value.expose())));
    Value::from(pairs.collect::<PresetValues>())
}

/// The values of one attempt, but for `values`.
pub(crate) fn attempt_values(options: &Value, attempt: Attempt<'_>) -> PresetValues {
    let mut values = action_values(attempt.action);
    let mut set = |name: &str, value: Value| values.insert(name.to_owned(), value);
    set("options", options.clone());
    set("idempotency_key", attempt.idempotency_key.into());
    set("attempt", attempt.number.into());
    set("again", Value::from(PresetValues::new()));
    values
}

/// Renders the texts of `values` for a request.
///
/// # Errors
/// A permanent error if a text fails.
pub(crate) fn render_texts(
    environment: &Environment<'static>,
    preset: &Preset,
    values: &mut PresetValues,
) -> Result<(), SinkError> {
    let mut rendering =
        TreeRendering::new(environment, Value::from(values.clone()), Absent::LeftOut);
    let mut texts = PresetValues::new();
    for (name, template) in &preset.values {
        let text = rendering.text(template);
        let text = text.map_err(|error| error::template(&format!("values.{name}"), &error))?;
        texts.insert(name.clone(), text.into());
    }
    values.insert("values".to_owned(), Value::from(texts));
    Ok(())
}

/// Renders a text that sees all values.
///
/// # Errors
/// If it fails for these values.
pub(crate) fn render_text(
    environment: &Environment<'static>,
    template: &str,
    values: PresetValues,
) -> Result<String, TemplateError> {
    TreeRendering::new(environment, Value::from(values), Absent::LeftOut).text(template)
}

/// Checks all templates of a preset.
///
/// # Errors
/// What cannot work for any action, with its place in the preset.
pub(crate) fn check(preset: &Preset, option: &str) -> Result<(), BuildError> {
    let mut faults = Faults::default();
    let at = |place: &str, message: String| BuildError::at(format!("{option}{place}"), message);
    if preset.requests.is_empty() {
        faults.keep::<()>(Err(at("requests", "a preset needs at least one".into())));
    }
    let mut environment = preset_environment();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let example = example();
    for (place, text) in texts(preset) {
        let names = names_at(&place, preset);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let checked = check_text_in(&environment, &text, &names, &example);
        let checked = checked.map_err(|problem| at(&place, said(&problem, &names)));
        faults.keep(checked);
    }
    for (number, request) in preset.requests.iter().enumerate() {
        for (name, text) in &request.headers {
            let checked = check_header(name, text);
            let place = format!("requests[{number}].headers.{name}");
            faults.keep(checked.map_err(|message| at(&place, message.into())));
        }
        if let Err(message) = one_body(request) {
            faults.keep::<()>(Err(at(&format!("requests[{number}]"), message.into())));
        }
    }
    let answers = preset.answers.iter().enumerate();
    let pointers = answers.filter_map(|(number, answer)| {
        Some((format!("answers[{number}].at"), answer.at.as_deref()?))
    });
    let wait = preset.retry_after.as_deref();
    let pointers = pointers.chain(wait.map(|pointer| ("retry_after".to_owned(), pointer)));
    for (place, pointer) in pointers {
        if !pointer.starts_with('/') {
            let message = "a JSON Pointer begins with `/`, such as `/error/code`";
            faults.keep::<()>(Err(at(&place, message.into())));
        }
    }
    faults.end(Some(()))
}

/// The values that a text of a preset sees, with the members of `options` and `values`. The texts of `values` do not see
/// each other.
fn names_at(place: &str, preset: &Preset) -> Vec<String> {
    let names = match place {
        "base_url" => &["options"][..],
        "ordering_key" => &NAMES_OF_ACTION,
        _ if place.starts_with("values.") => &NAMES_OF_VALUES,
        _ => &NAMES,
    };
    let members = |name: &str, members: Vec<&String>| -> Vec<String> {
        let members = members.into_iter();
        members.map(|member| format!("{name}.{member}")).collect()
    };
    let names = names.iter().flat_map(|name| match *name {
        "options" => members(name, preset.options.keys().collect()),
        "values" => members(name, preset.values.keys().collect()),
        name => vec![name.to_owned()],
    });
    names.collect()
}

/// The headers that describe the body and the connection, which Acteon sets itself.
const OWN_HEADERS: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

fn check_header(name: &str, text: &str) -> Result<(), &'static str> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err("this is no name of a header");
    };
    if OWN_HEADERS.contains(&name) {
        return Err("Acteon sets this header itself");
    }
    match text.trim().contains(['\r', '\n']) {
        true => Err("the value of a header is one line"),
        false => Ok(()),
    }
}

fn said(problem: &TemplateProblem, names: &[&str]) -> String {
    match problem {
        TemplateProblem::UnknownValue(_) => format!("{problem}; known: {}", names.join(", ")),
        TemplateProblem::Invalid(_) => problem.to_string(),
    }
}

fn one_body(request: &PresetRequest) -> Result<(), &'static str> {
    let given = [
        request.body.is_some(),
        request.text_body.is_some(),
        request.form.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 | 1 => Ok(()),
        _ => Err("set only one of `body`, `text_body` and `form`"),
    }
}

/// All templates of a preset, with their places. A condition is one expression.
fn texts(preset: &Preset) -> Vec<(String, String)> {
    let mut texts = vec![("base_url".to_owned(), preset.base_url.clone())];
    let expression = |condition: &String| format!("{{{{ {condition} }}}}");
    let named = |before: &str, map: &BTreeMap<String, String>| -> Vec<_> {
        let pairs = map.iter();
        let pairs = pairs.map(|(name, text)| (format!("{before}.{name}"), text.clone()));
        pairs.collect()
    };
    texts.extend(named("values", &preset.values));
    let ordering_key = preset.ordering_key.clone();
    texts.extend(ordering_key.map(|text| ("ordering_key".to_owned(), text)));
    for (number, request) in preset.requests.iter().enumerate() {
        let place = format!("requests[{number}]");
        let when = request.when.as_ref().map(expression);
        texts.extend(when.map(|text| (format!("{place}.when"), text)));
        texts.push((format!("{place}.path"), request.path.clone()));
        texts.extend(named(&format!("{place}.query"), &request.query));
        texts.extend(named(&format!("{place}.headers"), &request.headers));
        let form = request.form.iter();
        texts.extend(form.flat_map(|form| named(&format!("{place}.form"), form)));
        let text_body = request.text_body.clone();
        texts.extend(text_body.map(|text| (format!("{place}.text_body"), text)));
        let body = request.body.iter();
        body.for_each(|body| leaves(&format!("{place}.body"), body, &mut texts));
    }
    for (number, answer) in preset.answers.iter().enumerate() {
        let place = format!("answers[{number}]");
        let when = answer.when.as_ref().map(expression);
        texts.extend(when.map(|text| (format!("{place}.when"), text)));
        texts.extend(named(&format!("{place}.again"), &answer.again));
    }
    texts
}

fn leaves(place: &str, tree: &Json, texts: &mut Vec<(String, String)>) {
    match tree {
        Json::String(text) => texts.push((place.to_owned(), text.clone())),
        Json::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                leaves(&format!("{place}[{number}]"), item, texts);
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                leaves(&format!("{place}.{name}"), value, texts);
            }
        }
        _ => {}
    }
}

fn example() -> Json {
    let action = example_action("example", None, None).ok();
    let action = action.and_then(|action| serde_json::to_value(&action).ok());
    json!({
        "action": action, "payload": {}, "labels": {}, "options": {}, "values": {}, "again": {}, "answer": {},
        "idempotency_key": "example", "attempt": 1,
    })
}
