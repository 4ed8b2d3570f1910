//! The JSON Schema of the whole file, assembled from this crate's sections, the pipeline's and the adapters' options.
//! Reading, checking and `config schema` all use this one document.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Map, Value, json};

use acteon_core::{Family, Registry};

use crate::resolved::{
    AdapterKeys, AdminSettings, AuditKeys, DeadLetterSettings, LogSettings, ProviderKeys,
    RulesSettings, ServerSettings, SourceKeys, StateKeys,
};
use crate::{Adapters, PipelineKeys};

/// The JSON Schema of the whole file, including the options of all registered adapters.
pub fn schema<P: PipelineKeys>(adapters: &Adapters<'_>) -> Value {
    let mut parts = SchemaParts::default();
    parts.section::<ServerSettings>("server");
    parts.section::<AdminSettings>("admin");
    parts.section::<RulesSettings>("rules");
    parts.sections::<P::Sections>("pipeline");
    parts.section::<DeadLetterSettings>("dead_letters");
    parts.section::<LogSettings>("log");
    let state = parts.adapted::<StateKeys, _>(adapters.states);
    parts.property("state", state);
    let audit = parts.adapted::<AuditKeys<P::TrailKeys>, _>(adapters.audits);
    parts.property("audit", audit);
    let source = parts.adapted::<SourceKeys, _>(adapters.sources);
    parts.property("sources", json!({"type": "array", "items": source}));
    let provider = parts.adapted::<ProviderKeys<P::ProviderKeys>, _>(adapters.sinks);
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

/// The names of all keys of `K`.
pub(crate) fn key_names<K: JsonSchema>() -> Vec<String> {
    let schema = schema_for!(K);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(|p| p.keys().cloned())
        .collect()
}

#[derive(Default)]
struct SchemaParts {
    properties: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl SchemaParts {
    fn section<S: JsonSchema>(&mut self, name: &str) {
        let schema = self.hoist(schema_for!(S), name);
        self.property(name, Value::Object(schema));
    }

    /// A section for each field of `S`.
    fn sections<S: JsonSchema>(&mut self, prefix: &str) {
        let mut schema = self.hoist(schema_for!(S), prefix);
        let sections = schema.remove("properties");
        if let Some(Value::Object(sections)) = sections {
            for (name, mut section) in sections {
                // Each of its keys has a default already.
                section
                    .as_object_mut()
                    .and_then(|section| section.remove("default"));
                self.property(&name, section);
            }
        }
    }

    fn property(&mut self, name: &str, schema: Value) {
        self.properties.insert(name.to_owned(), schema);
    }

    /// A table that consists of the family's keys, one of which, the tag, names an adapter, and of that adapter's options.
    fn adapted<K: AdapterKeys, F: Family>(&mut self, registry: &Registry<F>) -> Value {
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

    /// Moves the definitions of a schema to the root, with `prefix` before their names.
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

/// If the tag names `kind`, only the family's keys and these options are allowed.
fn branch<K: AdapterKeys>(kind: &str, ours: &[String], mut options: Map<String, Value>) -> Value {
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

/// Redirects references to a schema's own definitions to where [`SchemaParts::hoist`] puts them.
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
