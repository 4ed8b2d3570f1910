//! Where a broker's message goes, such as `orders.{{ payload.region }}`: text, and paths whose values fill it in. A value
//! is one word of the address: it can neither add words nor match several.

use acteon_core::action_path::{ActionPath, Found};
use acteon_core::{Action, FailureCode, SinkError};
use compact_str::CompactString;
use serde_json::Value;

/// Begin and end of a path.
const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// Separates the words of an address.
const SEPARATOR: char = '.';

/// An address with paths in it.
#[derive(Clone, Debug)]
pub struct RoutingTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value { text: String, path: ActionPath },
}

impl RoutingTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// One sentence about the path that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let Some((path, after)) = after.split_once(CLOSE) else {
                return Err(format!("`{OPEN}` has no `{CLOSE}`"));
            };
            parts.extend(Part::text(before));
            let text = path.trim().to_owned();
            let path = ActionPath::parse(&text).map_err(|error| error.to_string())?;
            parts.push(Part::Value { text, path });
            rest = after;
        }
        if rest.contains(CLOSE) {
            return Err(format!("`{CLOSE}` has no `{OPEN}`"));
        }
        parts.extend(Part::text(rest));
        Ok(Self { parts })
    }

    /// The address of one action. `what` names it in messages, such as `subject`; `is_special` says which characters
    /// have a meaning in it besides the dot.
    ///
    /// # Errors
    /// Permanent, if a value is missing or cannot be one word of the address. The message names the path, not the value.
    pub fn render(
        &self,
        action: &Action,
        what: &str,
        is_special: fn(char) -> bool,
    ) -> Result<CompactString, SinkError> {
        let mut address = CompactString::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => address.push_str(text),
                Part::Value { text, path } => {
                    let value = word(path.find(action), is_special).map_err(|why| {
                        let message = format!("`{text}` cannot be a part of the {what}: {why}");
                        SinkError::permanent(FailureCode::ExecutionFailed, message)
                    })?;
                    address.push_str(&value);
                }
            }
        }
        Ok(address)
    }

    /// The address with `value` in the place of each value.
    pub fn with_each(&self, value: &str) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value { .. } => value.to_owned(),
        };
        self.parts.iter().map(text).collect()
    }

    /// The failure of a message that its address refuses, or that it has no receiver for. A fixed address is the fault
    /// of the provider: every action has it. One with values in it may be the fault of these values. Then only this
    /// action is put off, since the addresses of others may work.
    pub fn untaken(&self, message: impl Into<CompactString>) -> SinkError {
        let code = FailureCode::Configuration;
        match self.is_fixed() {
            true => SinkError::provider_fault(code, message),
            false => SinkError::deferred(code, message),
        }
    }

    /// True if all actions have the same address.
    pub fn is_fixed(&self) -> bool {
        let is_text = |part: &Part| matches!(part, Part::Text(_));
        self.parts.iter().all(is_text)
    }
}

impl Part {
    fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Text(text.to_owned()))
    }
}

fn word(found: Option<Found<'_>>, is_special: fn(char) -> bool) -> Result<String, &'static str> {
    let text = match found {
        None => return Err("the action has no such value"),
        Some(Found::Json(Value::Array(_) | Value::Object(_))) => {
            return Err("it is a list or an object");
        }
        Some(found) => found.into_text().into_owned(),
    };
    let is_refused = |c: char| c == SEPARATOR || c.is_control() || is_special(c);
    match text.is_empty() {
        true => Err("it is empty"),
        false if text.contains(is_refused) => {
            Err("it contains a character that has a meaning there")
        }
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use acteon_core::decode::decode;
    use acteon_core::sink::SinkErrorClass;
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn action(payload: &Value) -> Action {
        let json = json!({
            "id": "a", "namespace": "n", "tenant": "t1", "provider": "p", "action_type": "x", "payload": payload,
        });
        let draft = decode(&Bytes::from(json.to_string())).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        draft
            .complete(&Default::default(), || "made".into(), now)
            .unwrap()
    }

    fn rendered(template: &str, payload: &Value) -> Result<CompactString, SinkError> {
        let template = RoutingTemplate::parse(template).unwrap();
        template.render(&action(payload), "subject", |c| c == '*' || c == ' ')
    }

    #[test]
    fn values_fill_in_the_words_of_an_address() {
        let payload = json!({"region": "eu-1", "n": 7, "a b": true});
        for (template, address) in [
            ("orders", "orders"),
            ("orders.{{ payload.region }}", "orders.eu-1"),
            ("{{tenant}}.{{payload.n}}-x", "t1.7-x"),
            ("a.{{ payload.\"a b\" }}.b", "a.true.b"),
        ] {
            assert_eq!(rendered(template, &payload).unwrap(), address);
        }
    }

    #[test]
    fn a_value_that_would_change_the_address_is_a_permanent_failure_that_does_not_show_it() {
        for value in [
            json!("a.hunter2"),
            json!("hunter2*"),
            json!("hunter2 PUB x"),
            json!("hunter2\r\nPUB x"),
            json!(""),
            json!(null),
            json!(1.5),
            json!(["hunter2"]),
            json!({"hunter2": 1}),
        ] {
            let error = rendered("orders.{{ payload.x }}", &json!({"x": value})).unwrap_err();
            assert_eq!(error.class, SinkErrorClass::Permanent, "{value}");
            let shown = error.to_string();
            assert!(
                shown.starts_with("`payload.x` cannot be a part of the subject")
                    && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_template_that_cannot_be_read_says_why() {
        for (template, why) in [
            ("a.{{ payload.x", "`{{` has no `}}`"),
            ("a.payload.x }}", "`}}` has no `{{`"),
            ("{{ customer }}", "`customer` does not begin with"),
            ("{{ payload.x | lower }}.{{", "`{{` has no"),
            ("{{ }}", "`` is not a path"),
        ] {
            let error = RoutingTemplate::parse(template).unwrap_err();
            assert!(error.contains(why), "{template}: {error}");
        }
    }

    #[test]
    fn an_untaken_address_is_the_fault_of_the_provider_unless_values_are_in_it() {
        for (template, class) in [
            ("orders.new", SinkErrorClass::ProviderFault),
            ("orders.{{ payload.x }}", SinkErrorClass::Deferred),
        ] {
            let error = RoutingTemplate::parse(template).unwrap().untaken("refused");
            assert_eq!(error.class, class, "{template}");
            assert_eq!(error.code, FailureCode::Configuration);
            assert_eq!(error.message, "refused");
        }
    }

    #[test]
    fn each_value_can_be_replaced_by_a_wildcard() {
        let template = RoutingTemplate::parse("{{ tenant }}.orders.{{ payload.x }}").unwrap();
        assert_eq!(template.with_each("*"), "*.orders.*");
        assert!(!template.is_fixed());
        assert!(RoutingTemplate::parse("orders").unwrap().is_fixed());
    }
}
