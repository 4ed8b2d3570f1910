//! Reads a JSON Schema: the keys, types and bounds that it allows at one place. Supports what derived schemas contain,
//! not the whole standard.

use serde_json::Value;

use crate::errors::quoted;
use crate::tree::{NodeValue, TreeNode};

/// The maximum number of references followed.
const LAYERS_MAX: usize = 32;

static ANYTHING: Value = Value::Bool(true);

/// A place in a schema.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    root: &'a Value,
    here: &'a Value,
}

impl<'a> Shape<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    pub(crate) fn anything(self) -> Self {
        self.to(&ANYTHING)
    }

    fn to(self, here: &'a Value) -> Self {
        Self { here, ..self }
    }

    pub(crate) fn get(self, keyword: &str) -> Option<&'a Value> {
        self.here.get(keyword)
    }

    /// This schema and all that apply together with it to `node`: references, `allOf`, and `then` or `else` of `if`.
    pub(crate) fn layers(self, node: Option<&TreeNode>) -> Vec<Self> {
        let mut layers = vec![self];
        let mut next = 0;
        while let Some(layer) = layers.get(next).copied() {
            next += 1;
            if layers.len() > LAYERS_MAX {
                break;
            }
            layers.extend(layer.referenced().map(|here| self.to(here)));
            layers.extend(layer.list("allOf").map(|here| self.to(here)));
            let holds = layer.get("if").map(|condition| holds(condition, node));
            let branch = match holds {
                Some(true) => layer.get("then"),
                Some(false) => layer.get("else"),
                None => None,
            };
            layers.extend(branch.map(|here| self.to(here)));
        }
        layers
    }

    fn referenced(self) -> Option<&'a Value> {
        let pointer = self.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn list(self, keyword: &str) -> impl Iterator<Item = &'a Value> {
        self.get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    /// The alternatives, without `null`, which TOML does not have. Empty if there are none.
    pub(crate) fn variants(self) -> Vec<Self> {
        let all = self.list("oneOf").chain(self.list("anyOf"));
        all.map(|here| self.to(here))
            .filter(|variant| variant.get("type").is_none_or(|t| t != "null"))
            .collect()
    }

    /// The allowed values, if they are listed.
    pub(crate) fn choices(self) -> Vec<&'a Value> {
        self.get("const")
            .into_iter()
            .chain(self.list("enum").filter(|value| !value.is_null()))
            .collect()
    }

    pub(crate) fn is_secret(self) -> bool {
        self.get("format")
            .is_some_and(|f| f == acteon_core::Secret::FORMAT)
    }

    /// The names of the allowed JSON types; empty if any is allowed.
    pub(crate) fn kinds(self, node: Option<&TreeNode>) -> Vec<&'a str> {
        let mut kinds = Vec::new();
        for layer in self.layers(node) {
            kinds.extend(layer.own_kinds());
            if layer.get("type").is_none() {
                let variants = layer.variants();
                kinds.extend(variants.iter().flat_map(|variant| variant.kinds(node)));
            }
        }
        kinds
    }

    fn own_kinds(self) -> Vec<&'a str> {
        let one = self.get("type").and_then(Value::as_str);
        let many = self.list("type").filter_map(Value::as_str);
        let kinds = one.into_iter().chain(many);
        kinds.filter(|kind| *kind != "null").collect()
    }

    /// True if the type of `node` is allowed, whatever its content.
    pub(crate) fn accepts(self, node: &TreeNode) -> bool {
        let kinds = self.kinds(Some(node));
        kinds.is_empty() || kinds.iter().any(|kind| is_of_kind(node, kind))
    }

    /// The schema of the value under `key`, if there is one.
    pub(crate) fn property(self, key: &str) -> Option<Self> {
        Some(self.to(self.get("properties")?.get(key)?))
    }

    /// The schema of values under keys that the schema does not name; `None` if such keys are not allowed.
    pub(crate) fn free_values(self) -> Option<Self> {
        let free = self
            .get("additionalProperties")
            .or_else(|| self.get("unevaluatedProperties"));
        match free {
            Some(Value::Bool(false)) => None,
            Some(schema) => Some(self.to(schema)),
            None => Some(self.anything()),
        }
    }

    /// True if the schema has a rule for keys that it does not name.
    pub(crate) fn has_rule_for_free_values(self) -> bool {
        self.get("additionalProperties").is_some() || self.get("unevaluatedProperties").is_some()
    }

    pub(crate) fn items(self) -> Option<Self> {
        Some(self.to(self.get("items")?))
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'a str> {
        self.list("required").filter_map(Value::as_str)
    }

    /// All keys that the schema names for `node`, including those of every alternative.
    pub(crate) fn names(self, node: Option<&TreeNode>) -> Vec<&'a str> {
        let mut names = Vec::new();
        for layer in self.layers(node) {
            let properties = layer.get("properties").and_then(Value::as_object);
            names.extend(
                properties
                    .into_iter()
                    .flat_map(|p| p.keys())
                    .map(String::as_str),
            );
            for variant in layer.variants() {
                names.extend(variant.names(node));
            }
        }
        names
    }

    /// The schema of the named key, in any alternative.
    pub(crate) fn named(self, node: Option<&TreeNode>, key: &str) -> Option<Self> {
        let layers = self.layers(node);
        let direct = layers.iter().filter_map(|layer| {
            let property = layer.property(key)?;
            property.here.is_object().then_some(property)
        });
        let variants = layers.iter().flat_map(|layer| layer.variants());
        direct
            .chain(variants.filter_map(|variant| variant.named(node, key)))
            .next()
    }

    /// Describes the expected value, for messages.
    pub(crate) fn describe(self, node: Option<&TreeNode>) -> String {
        let mut parts: Vec<String> = Vec::new();
        for layer in self.layers(node) {
            let choices = layer.choices();
            match choices.is_empty() {
                true => parts.extend(
                    layer
                        .own_kinds()
                        .iter()
                        .map(|kind| layer.describe_kind(kind)),
                ),
                false => parts.push(one_of(&choices)),
            }
            if layer.get("type").is_none() {
                parts.push(describe_variants(&layer.variants(), node));
            }
        }
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        parts.join(" or ")
    }

    fn describe_kind(self, kind: &str) -> String {
        match kind {
            "boolean" => "true or false".into(),
            "integer" => format!("an integer{}", self.describe_range()),
            "number" => format!("a number{}", self.describe_range()),
            "array" => "a list".into(),
            "object" => "a table".into(),
            _ => "a string".into(),
        }
    }

    fn describe_range(self) -> String {
        match self.range() {
            (Some(min), Some(max)) => format!(" from {min} to {max}"),
            (Some(min), None) => format!(" of at least {min}"),
            (None, Some(max)) => format!(" of at most {max}"),
            (None, None) => String::new(),
        }
    }

    /// The minimum and the maximum number, if there are any.
    pub(crate) fn range(self) -> (Option<f64>, Option<f64>) {
        let number = |keyword| self.get(keyword).and_then(Value::as_f64);
        let format_max = match self.get("format").and_then(Value::as_str) {
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        };
        let max = match (number("maximum"), format_max) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        (number("minimum"), max)
    }
}

fn describe_variants(variants: &[Shape<'_>], node: Option<&TreeNode>) -> String {
    let choices: Vec<_> = variants
        .iter()
        .flat_map(|variant| variant.choices())
        .collect();
    if !choices.is_empty() && variants.iter().all(|variant| !variant.choices().is_empty()) {
        return one_of(&choices);
    }
    let mut parts: Vec<_> = variants
        .iter()
        .map(|variant| variant.describe(node))
        .collect();
    parts.dedup();
    parts.join(" or ")
}

/// `one of ...`, for messages.
pub(crate) fn one_of(choices: &[&Value]) -> String {
    let texts: Vec<String> = choices
        .iter()
        .map(|choice| {
            choice
                .as_str()
                .map_or_else(|| choice.to_string(), str::to_owned)
        })
        .collect();
    let names = quoted(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    match names.as_slice() {
        [only] => only.clone(),
        names => format!("one of {}", names.join(", ")),
    }
}

fn is_of_kind(node: &TreeNode, kind: &str) -> bool {
    match &node.body {
        NodeValue::Bool(_) => kind == "boolean",
        NodeValue::Integer(_) | NodeValue::Huge(_) => kind == "integer" || kind == "number",
        NodeValue::Float(_) => kind == "number",
        NodeValue::Text(_) => kind == "string",
        NodeValue::Date(_) => false,
        NodeValue::List(_) => kind == "array",
        NodeValue::Table(_) => kind == "object",
    }
}

/// Whether `node` satisfies an `if` that compares keys with constants. A missing key satisfies it unless it is required.
fn holds(condition: &Value, node: Option<&TreeNode>) -> bool {
    let required = Shape::new(condition);
    let constants = condition.get("properties").and_then(Value::as_object);
    constants
        .into_iter()
        .flatten()
        .all(|(key, schema)| match node.and_then(|node| node.get(key)) {
            Some(found) => schema.get("const").is_some_and(|c| *c == found.to_json()),
            None => required.required().all(|name| name != key),
        })
}
