//! The JSON Schema of the whole file, put together from our sections and the adapters' own options. Reading,
//! checking and `config schema` all go by this one document.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Map, Value, json};

use acteon_core::{Family, Registry};

use crate::Adapters;
use crate::settings::{
    AdminSettings, AuditKeys, CircuitBreakerSettings, DeadLetterSettings, ExecutorSettings, Keys,
    LogSettings, PipelineSettings, ProviderKeys, RedeliverySettings, RulesSettings, ServerSettings,
    SourceKeys, StateKeys,
};

/// The JSON Schema of the whole file, the options of all registered adapters included.
pub fn schema(adapters: &Adapters<'_>) -> Value {
    let mut parts = Parts::default();
    parts.section::<ServerSettings>("server");
    parts.section::<AdminSettings>("admin");
    parts.section::<RulesSettings>("rules");
    parts.section::<ExecutorSettings>("executor");
    parts.section::<PipelineSettings>("pipeline");
    parts.section::<CircuitBreakerSettings>("circuit_breaker");
    parts.section::<RedeliverySettings>("redelivery");
    parts.section::<DeadLetterSettings>("dead_letters");
    parts.section::<LogSettings>("log");
    let state = parts.adapted::<StateKeys, _>(adapters.states);
    parts.property("state", state);
    let audit = parts.adapted::<AuditKeys, _>(adapters.audits);
    parts.property("audit", audit);
    let source = parts.adapted::<SourceKeys, _>(adapters.sources);
    parts.property("sources", json!({"type": "array", "items": source}));
    let provider = parts.adapted::<ProviderKeys, _>(adapters.sinks);
    parts.property("providers", json!({"type": "array", "items": provider}));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "acteon.toml",
        "type": "object",
        "properties": parts.properties,
        "additionalProperties": false,
        "$defs": parts.definitions,
    })
}

/// The names of our keys beside an adapter's own.
pub(crate) fn key_names<K: JsonSchema>() -> Vec<String> {
    let schema = schema_for!(K);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(|p| p.keys().cloned())
        .collect()
}

#[derive(Default)]
struct Parts {
    properties: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl Parts {
    fn section<S: JsonSchema>(&mut self, name: &str) {
        let schema = self.hoist(schema_for!(S), name);
        self.property(name, Value::Object(schema));
    }

    fn property(&mut self, name: &str, schema: Value) {
        self.properties.insert(name.to_owned(), schema);
    }

    /// A table of our keys of which one, the tag, names an adapter, and of that adapter's options.
    fn adapted<K: Keys, F: Family>(&mut self, registry: &Registry<F>) -> Value {
        let mut table = self.hoist(schema_for!(K), K::PREFIX);
        table.remove("additionalProperties");
        let ours = table.get("properties").and_then(Value::as_object);
        let ours: Vec<String> = ours.into_iter().flat_map(|p| p.keys().cloned()).collect();
        let kinds: Vec<&str> = registry.kinds().collect();
        let tag = table.get_mut("properties").and_then(|p| p.get_mut(K::TAG));
        if let Some(Value::Object(tag)) = tag {
            tag.insert("enum".into(), json!(kinds));
        }
        let branches: Vec<Value> = kinds
            .iter()
            .filter_map(|kind| {
                let name = format!("{}.{kind}", K::PREFIX);
                let options = self.hoist(registry.schema(kind)?, &name);
                Some(branch::<K>(kind, &ours, options))
            })
            .collect();
        table.insert("allOf".into(), Value::Array(branches));
        Value::Object(table)
    }

    /// Takes a schema's definitions among ours, under names that begin with `prefix`.
    fn hoist(&mut self, schema: Schema, prefix: &str) -> Map<String, Value> {
        let mut value = schema.to_value();
        point_to(&mut value, prefix);
        let Value::Object(mut schema) = value else {
            return Map::new();
        };
        let definitions = schema.get_mut("$defs").map(Value::take);
        if let Some(Value::Object(definitions)) = definitions {
            let named = definitions.into_iter();
            self.definitions
                .extend(named.map(|(name, schema)| (format!("{prefix}.{name}"), schema)));
        }
        schema.retain(|keyword, _| !matches!(keyword.as_str(), "$schema" | "title" | "$defs"));
        schema
    }
}

/// When the tag names `kind`, these options may stand beside our keys, and nothing else.
fn branch<K: Keys>(kind: &str, ours: &[String], mut options: Map<String, Value>) -> Value {
    let mut condition = json!({"properties": {(K::TAG): {"const": kind}}});
    if K::DEFAULT != Some(kind) {
        condition["required"] = json!([K::TAG]);
    }
    let properties = options.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        properties.extend(ours.iter().map(|key| (key.clone(), Value::Bool(true))));
    }
    options.insert("additionalProperties".into(), Value::Bool(false));
    json!({"if": condition, "then": options})
}

/// Makes references to a schema's own definitions point to where [`Parts::hoist`] puts them.
fn point_to(value: &mut Value, prefix: &str) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let name = inner.as_str().and_then(|t| t.strip_prefix("#/$defs/"));
                match name {
                    Some(name) if key == "$ref" => {
                        *inner = Value::String(format!("#/$defs/{prefix}.{name}"));
                    }
                    _ => point_to(inner, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_to(item, prefix)),
        _ => {}
    }
}
