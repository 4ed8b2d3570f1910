//! Checks the tree against its schema: reports every value that does not match, and finds every secret.

use serde_json::Value;

use crate::envelope;
use crate::errors::{Complaint, hint};
use crate::shape::{Shape, one_of};
use crate::tree::{Entry, NodeValue, PathStep, Table, TreeNode, TreePath, ValueOrigin};

/// The result of a check.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) complaints: Vec<Complaint>,
    /// The paths of the secrets.
    pub(crate) secrets: Vec<TreePath>,
}

/// Checks `root` against `schema`.
pub(crate) fn check(root: &TreeNode, schema: &Value) -> Findings {
    let mut checker = Checker::default();
    checker.visit(root, Shape::new(schema));
    checker.found
}

#[derive(Default)]
struct Checker {
    path: TreePath,
    found: Findings,
}

impl Checker {
    fn visit(&mut self, node: &TreeNode, shape: Shape<'_>) {
        if !shape.accepts(node) || matches!(node.body, NodeValue::Huge(_)) {
            let expected = shape.describe(Some(node));
            let found = node.describe();
            self.complain(&node.origin, format!("expected {expected}, found {found}"));
            return;
        }
        let layers = shape.layers(Some(node));
        for layer in &layers {
            self.visit_choices(node, &layer.choices());
            self.visit_variants(node, &layer.variants());
        }
        match &node.body {
            NodeValue::Integer(value) => self.visit_number(node, *value as f64, &layers),
            NodeValue::Float(value) => self.visit_number(node, *value, &layers),
            NodeValue::Text(text) => self.visit_text(node, text, &layers),
            NodeValue::List(items) => self.visit_items(node, items, &layers),
            NodeValue::Table(table) => self.visit_table(node, table, shape, &layers),
            NodeValue::Bool(_) | NodeValue::Date(_) | NodeValue::Huge(_) => {}
        }
    }

    fn visit_choices(&mut self, node: &TreeNode, choices: &[&Value]) {
        if choices.is_empty() || choices.iter().any(|choice| **choice == node.to_json()) {
            return;
        }
        let expected = one_of(choices);
        let message = match node.text() {
            None => format!("expected {expected}, found {}", node.describe()),
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

    /// Reports the mistakes of the alternative that was most likely intended.
    fn visit_variants(&mut self, node: &TreeNode, variants: &[Shape<'_>]) {
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

    fn visit_tagged(
        &mut self,
        node: &TreeNode,
        variants: &[&Shape<'_>],
        key: &str,
        values: &[&Value],
    ) {
        let tagged = node.get(key);
        let json = tagged.map(TreeNode::to_json);
        let chosen = values
            .iter()
            .position(|value| Some(*value) == json.as_ref());
        match (tagged, chosen) {
            (_, Some(chosen)) => {
                let found = self.trial(node, *variants[chosen]);
                self.take(found);
            }
            (Some(tagged), None) => {
                self.path.push(PathStep::Key(key.to_owned()));
                self.visit_choices(tagged, values);
                self.path.pop();
            }
            (None, None) => {
                let message = format!("the key `{key}` is missing: expected {}", one_of(values));
                self.complain(&node.origin, message);
            }
        }
    }

    fn trial(&self, node: &TreeNode, shape: Shape<'_>) -> Findings {
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

    fn visit_number(&mut self, node: &TreeNode, value: f64, layers: &[Shape<'_>]) {
        for layer in layers {
            let (min, max) = layer.range();
            if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
                let expected = layer.describe(Some(node));
                let found = node.describe();
                self.complain(&node.origin, format!("expected {expected}, found {found}"));
            }
        }
    }

    fn visit_text(&mut self, node: &TreeNode, text: &str, layers: &[Shape<'_>]) {
        let secret = layers.iter().any(|layer| layer.is_secret());
        if !secret && envelope::is_intended(text) {
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

    fn visit_items(&mut self, node: &TreeNode, items: &[TreeNode], layers: &[Shape<'_>]) {
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
                self.path.push(PathStep::Item(index));
                self.visit(item, shape);
                self.path.pop();
            }
        }
    }

    fn visit_table(
        &mut self,
        node: &TreeNode,
        table: &Table,
        shape: Shape<'_>,
        layers: &[Shape<'_>],
    ) {
        for (key, entry) in table {
            self.path.push(PathStep::Key(key.clone()));
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
        table: &TreeNode,
        key: &str,
        entry: &Entry,
        shape: Shape<'_>,
        layers: &[Shape<'_>],
    ) {
        let named = layers.iter().filter_map(|layer| layer.property(key));
        let named: Vec<_> = named.collect();
        let names = shape.names(Some(table));
        if names.contains(&key) {
            // A name that no layer has belongs to an alternative, which checks it.
            return named
                .into_iter()
                .for_each(|shape| self.visit(&entry.node, shape));
        }
        let spoken = layers
            .iter()
            .filter(|layer| layer.has_rule_for_free_values());
        let spoken: Vec<_> = spoken.collect();
        match spoken.iter().find_map(|layer| layer.free_values()) {
            Some(shape) => self.visit(&entry.node, shape),
            None if spoken.is_empty() => self.visit(&entry.node, shape.anything()),
            None => self.complain(&entry.key, format!("unknown key{}", hint(key, names))),
        }
    }

    fn complain(&mut self, origin: &ValueOrigin, message: impl Into<String>) {
        let complaint = Complaint::new(&self.path, origin, message);
        if !self.found.complaints.contains(&complaint) {
            self.found.complaints.push(complaint);
        }
    }
}

/// The key whose constant distinguishes the alternatives, and its value in each of them.
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
