//! Holding the tree against its schema: every value that does not fit is complained about, every secret is found.

use serde_json::Value;

use crate::envelope;
use crate::errors::{Complaint, hint};
use crate::shape::{Shape, one_of};
use crate::tree::{Body, Entry, Node, Origin, Path, Step, Table};

/// What a check found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) complaints: Vec<Complaint>,
    /// Where the secrets are.
    pub(crate) secrets: Vec<Path>,
}

/// Holds `root` against `schema`.
pub(crate) fn check(root: &Node, schema: &Value) -> Findings {
    let mut checker = Checker::default();
    checker.visit(root, Shape::new(schema));
    checker.found
}

#[derive(Default)]
struct Checker {
    path: Path,
    found: Findings,
}

impl Checker {
    fn visit(&mut self, node: &Node, shape: Shape<'_>) {
        if !shape.accepts(node) || matches!(node.body, Body::Huge(_)) {
            let (expected, what) = (shape.describe(Some(node)), node.what());
            self.complain(&node.origin, format!("expected {expected}, found {what}"));
            return;
        }
        let layers = shape.layers(Some(node));
        for layer in &layers {
            self.visit_choices(node, &layer.choices());
            self.visit_variants(node, &layer.variants());
        }
        match &node.body {
            Body::Integer(value) => self.visit_number(node, *value as f64, &layers),
            Body::Float(value) => self.visit_number(node, *value, &layers),
            Body::Text(text) => self.visit_text(node, text, &layers),
            Body::List(items) => self.visit_items(node, items, &layers),
            Body::Table(table) => self.visit_table(node, table, shape, &layers),
            Body::Bool(_) | Body::Date(_) | Body::Huge(_) => {}
        }
    }

    fn visit_choices(&mut self, node: &Node, choices: &[&Value]) {
        if choices.is_empty() || choices.iter().any(|choice| **choice == node.to_json()) {
            return;
        }
        let expected = one_of(choices);
        let message = match node.text() {
            None => format!("expected {expected}, found {}", node.what()),
            Some(text) => {
                let near = hint(text, choices.iter().filter_map(|choice| choice.as_str()));
                let near = near
                    .strip_prefix("; did")
                    .map(|rest| format!("; did{rest}"));
                format!(
                    "expected {expected}, found `{text}`{}",
                    near.unwrap_or_default()
                )
            }
        };
        self.complain(&node.origin, message);
    }

    /// Complains by the alternative that was most likely meant.
    fn visit_variants(&mut self, node: &Node, variants: &[Shape<'_>]) {
        let fitting: Vec<_> = variants
            .iter()
            .filter(|variant| variant.accepts(node))
            .collect();
        let choices: Vec<_> = fitting
            .iter()
            .flat_map(|variant| variant.choices())
            .collect();
        if !choices.is_empty() && fitting.iter().all(|variant| !variant.choices().is_empty()) {
            return self.visit_choices(node, &choices);
        }
        if let Some((key, values)) = tag(&fitting) {
            return self.visit_tagged(node, &fitting, key, &values);
        }
        let trials = fitting.iter().map(|variant| self.trial(node, **variant));
        let likeliest = trials.min_by_key(|found| {
            let missing = found
                .complaints
                .iter()
                .filter(|c| c.path.len() == self.path.len());
            (missing.count(), found.complaints.len())
        });
        self.take(likeliest.unwrap_or_default());
    }

    fn visit_tagged(&mut self, node: &Node, variants: &[&Shape<'_>], key: &str, values: &[&Value]) {
        let tagged = node.get(key);
        let json = tagged.map(Node::to_json);
        let chosen = values
            .iter()
            .position(|value| Some(*value) == json.as_ref());
        match (tagged, chosen) {
            (_, Some(chosen)) => {
                let found = self.trial(node, *variants[chosen]);
                self.take(found);
            }
            (Some(tagged), None) => {
                self.path.push(Step::Key(key.to_owned()));
                self.visit_choices(tagged, values);
                self.path.pop();
            }
            (None, None) => {
                let message = format!("the key `{key}` is missing: expected {}", one_of(values));
                self.complain(&node.origin, message);
            }
        }
    }

    fn trial(&self, node: &Node, shape: Shape<'_>) -> Findings {
        let mut trial = Checker {
            path: self.path.clone(),
            found: Findings::default(),
        };
        trial.visit(node, shape);
        trial.found
    }

    fn take(&mut self, found: Findings) {
        self.found.complaints.extend(found.complaints);
        self.found.secrets.extend(found.secrets);
    }

    fn visit_number(&mut self, node: &Node, value: f64, layers: &[Shape<'_>]) {
        for layer in layers {
            let (min, max) = layer.range();
            if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
                let (expected, what) = (layer.describe(Some(node)), node.what());
                self.complain(&node.origin, format!("expected {expected}, found {what}"));
            }
        }
    }

    fn visit_text(&mut self, node: &Node, text: &str, layers: &[Shape<'_>]) {
        let secret = layers.iter().any(|layer| layer.is_secret());
        if !secret && envelope::is_meant(text) {
            let message = "`ENC[...]` is only read where the value is a secret";
            return self.complain(&node.origin, message);
        }
        if secret && !self.found.secrets.contains(&self.path) {
            self.found.secrets.push(self.path.clone());
        }
        let length = text.chars().count() as u64;
        for layer in layers {
            let bound = |keyword| layer.get(keyword).and_then(Value::as_u64);
            if bound("minLength").is_some_and(|min| length < min) {
                self.complain(&node.origin, "expected a string that is not empty");
            }
            if let Some(max) = bound("maxLength").filter(|max| length > *max) {
                let message = format!("expected at most {max} characters, found {length}");
                self.complain(&node.origin, message);
            }
        }
    }

    fn visit_items(&mut self, node: &Node, items: &[Node], layers: &[Shape<'_>]) {
        for layer in layers {
            let least = layer.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            if (items.len() as u64) < least {
                let plural = if least == 1 { "" } else { "s" };
                let message = format!(
                    "expected at least {least} item{plural}, found {}",
                    items.len()
                );
                self.complain(&node.origin, message);
            }
            let Some(shape) = layer.items() else { continue };
            for (index, item) in items.iter().enumerate() {
                self.path.push(Step::Item(index));
                self.visit(item, shape);
                self.path.pop();
            }
        }
    }

    fn visit_table(&mut self, node: &Node, table: &Table, shape: Shape<'_>, layers: &[Shape<'_>]) {
        for (key, entry) in table {
            self.path.push(Step::Key(key.clone()));
            self.visit_entry(node, key, entry, shape, layers);
            self.path.pop();
        }
        for layer in layers {
            for key in layer.required().filter(|key| !table.contains_key(*key)) {
                let expected = shape.named(Some(node), key);
                let expected = expected.map_or("a value".into(), |shape| shape.describe(None));
                let message = format!("the key `{key}` is missing: expected {expected}");
                self.complain(&node.origin, message);
            }
        }
    }

    fn visit_entry(
        &mut self,
        table: &Node,
        key: &str,
        entry: &Entry,
        shape: Shape<'_>,
        layers: &[Shape<'_>],
    ) {
        let named = layers.iter().filter_map(|layer| layer.property(key));
        let named: Vec<_> = named.collect();
        let names = shape.names(Some(table));
        if names.contains(&key) {
            // A name that no layer has belongs to an alternative, which looks at it itself.
            return named
                .into_iter()
                .for_each(|shape| self.visit(&entry.node, shape));
        }
        let spoken = layers.iter().filter(|layer| layer.speaks_of_free_values());
        let spoken: Vec<_> = spoken.collect();
        match spoken.iter().find_map(|layer| layer.free_values()) {
            Some(shape) => self.visit(&entry.node, shape),
            None if spoken.is_empty() => self.visit(&entry.node, shape.anything()),
            None => self.complain(&entry.key, format!("unknown key{}", hint(key, names))),
        }
    }

    fn complain(&mut self, origin: &Origin, message: impl Into<String>) {
        let complaint = Complaint::new(&self.path, origin, message);
        if !self.found.complaints.contains(&complaint) {
            self.found.complaints.push(complaint);
        }
    }
}

/// The key by whose constant the alternatives differ, and its values in their order.
fn tag<'a>(variants: &[&Shape<'a>]) -> Option<(&'a str, Vec<&'a Value>)> {
    let first = variants.first().filter(|_| variants.len() > 1)?;
    let properties = first.get("properties")?.as_object()?;
    properties.keys().find_map(|key| {
        let values = variants
            .iter()
            .map(|variant| variant.property(key)?.get("const"));
        let values: Option<Vec<_>> = values.collect();
        values.map(|values| (key.as_str(), values))
    })
}
