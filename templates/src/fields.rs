//! Renders the fields of a payload by their templates.

use acteon_core::{Action, Payload};
use minijinja::{Environment, Value as TemplateValue};
use serde_json::{Map, Value};

use crate::bounded::OUTPUT_BYTES_MAX;
use crate::depth::depth;
use crate::error::{TemplateError, TemplateFault};
use crate::layout::Format;
use crate::values::action_values;

/// How much of a payload a text shows whose template failed.
const SHOWN_CHARACTERS: usize = 2000;
/// The template of the whole payload.
const WHOLE: &str = "payload";

/// The template of one field of the payload.
#[derive(Clone, Debug)]
pub(crate) struct FieldTemplate {
    pub(crate) field: String,
    pub(crate) format: Format,
    /// Its name in the environment.
    pub(crate) name: String,
    pub(crate) is_one_line: bool,
}

/// What the templates made of an action.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The payload for the sink. In place of a text whose template failed it says so and shows the original payload;
    /// other fields whose templates failed are as in the original payload.
    pub payload: Payload,
    /// The templates that failed, without values of the action.
    pub faults: Vec<TemplateFault>,
}

/// The payload of `action` with these fields rendered.
pub(crate) fn rendered(
    environment: &Environment<'_>,
    fields: &[&FieldTemplate],
    action: &Action,
) -> Rendered {
    let mut rendering = FieldRendering {
        environment,
        values: TemplateValue::from(action_values(action)),
        bytes_left: OUTPUT_BYTES_MAX,
    };
    let original: Value = action.payload.parse().unwrap_or_default();
    let mut faults = Vec::new();
    let mut whole = original;
    let mut written = Map::new();
    for field in fields {
        match rendering.field(field) {
            Ok(value) if field.field == WHOLE => whole = value,
            Ok(value) => {
                written.insert(field.field.clone(), value);
            }
            Err(error) => {
                let fault = TemplateFault::public(&field.name, &error);
                if field.format.is_text() {
                    let text = explained(field, action, &fault);
                    written.insert(field.field.clone(), Value::String(text));
                }
                faults.push(fault);
            }
        }
    }
    let payload = overlaid(whole, written);
    let payload = Payload::from_value(&payload).unwrap_or_else(|_| Payload::null());
    match depth(payload.as_bytes()) > Payload::DEPTH_MAX {
        false => Rendered { payload, faults },
        true => {
            let name = fields.first().map_or(WHOLE, |field| &field.name);
            faults.push(TemplateFault::public(name, &TemplateError::TooDeep));
            let payload = action.payload.clone();
            Rendered { payload, faults }
        }
    }
}

/// `whole` with these members. Anything but an object has no members to keep.
fn overlaid(whole: Value, written: Map<String, Value>) -> Value {
    match whole {
        Value::Object(mut members) => {
            members.extend(written);
            Value::Object(members)
        }
        other if written.is_empty() => other,
        _ => Value::Object(written),
    }
}

/// The fields of one action being rendered. Their output is bounded together.
struct FieldRendering<'e> {
    environment: &'e Environment<'e>,
    values: TemplateValue,
    bytes_left: usize,
}

impl FieldRendering<'_> {
    fn field(&mut self, field: &FieldTemplate) -> Result<Value, TemplateError> {
        let template = self.environment.get_template(&field.name);
        let output = template.and_then(|template| template.render(self.values.clone()));
        let output = output.map_err(|error| TemplateError::Failed(Box::new(error)))?;
        let left = self.bytes_left.checked_sub(output.len());
        self.bytes_left = left.ok_or(TemplateError::TooLong)?;
        match field.format {
            Format::Text | Format::Html => Ok(Value::String(output)),
            Format::Json => serde_json::from_str(&output).map_err(TemplateError::NotJson),
        }
    }
}

/// The text in place of one that failed: what kind of action it is, why it is shown like this, and the payload, unless
/// the template has one line, as that of a subject.
fn explained(field: &FieldTemplate, action: &Action, fault: &TemplateFault) -> String {
    let mut text = format!("{}: the template failed ({fault})", action.action_type);
    if !field.is_one_line {
        let payload = String::from_utf8_lossy(action.payload.as_bytes());
        text.push('\n');
        text.extend(payload.chars().take(SHOWN_CHARACTERS));
        if payload.chars().nth(SHOWN_CHARACTERS).is_some() {
            text.push('…');
        }
    }
    match field.format {
        Format::Html => format!("<pre>{}</pre>", escaped(&text)),
        Format::Text | Format::Json => text,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
