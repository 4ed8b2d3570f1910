//! Checks that no schema can express: unique names, references to names, addresses used twice.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::document::Document;
use crate::errors::{Complaint, hint};
use crate::resolved::ServerSettings;
use crate::tree::{NodeValue, PathStep, TreeNode, TreePath};

/// Reports values that contradict each other.
pub(crate) fn check(root: &TreeNode, document: &Document) -> Vec<Complaint> {
    let mut cross = Cross {
        root,
        document,
        complaints: Vec::new(),
    };
    cross.unique_names("sources");
    cross.unique_names("providers");
    cross.unique_names("state_machines");
    cross.providers_named();
    cross.fallbacks_end();
    cross.time_zone();
    cross.admin_address();
    cross.source_names();
    cross.default_fields();
    cross.redacted_fields();
    cross.rule_variables();
    cross.complaints
}

struct Cross<'a> {
    root: &'a TreeNode,
    document: &'a Document,
    complaints: Vec<Complaint>,
}

impl<'a> Cross<'a> {
    fn unique_names(&mut self, list: &str) {
        let mut seen: HashMap<&str, &TreeNode> = HashMap::new();
        for (index, item) in self.list(list).iter().enumerate() {
            let Some(node) = item.get("name") else {
                continue;
            };
            let Some(name) = node.text() else { continue };
            let path = path_to(list, index, &["name"]);
            if name.contains(char::is_control) {
                self.complain(&path, node, "expected a name without control characters");
            }
            if let Some(first) = seen.insert(name, node) {
                let location = self.document.location(&first.origin);
                let message = format!("the one at {location} has the same name");
                self.complain(&path, node, message);
                seen.insert(name, first);
            }
        }
    }

    /// Every provider referred to must exist, unless none is configured.
    fn providers_named(&mut self) {
        let names = self.names();
        for index in 0..self.list("providers").len() {
            self.must_exist(&path_to("providers", index, &["fallback_provider"]), &names);
        }
        if names.is_empty() {
            return;
        }
        for index in 0..self.list("sources").len() {
            self.must_exist(
                &path_to("sources", index, &["defaults", "provider"]),
                &names,
            );
        }
        for section in ["circuit_breaker", "redelivery"] {
            let path = keys(&[section, "providers"]);
            let overrides = self.root.at(&path).and_then(TreeNode::as_table);
            for (name, entry) in overrides.into_iter().flatten() {
                if !names.contains(&name.as_str()) {
                    let path = [path.clone(), keys(&[name])].concat();
                    let message = unknown_provider(name, &names);
                    self.complaints
                        .push(Complaint::new(&path, &entry.key, message));
                }
            }
        }
    }

    fn must_exist(&mut self, path: &[PathStep], names: &[&str]) {
        let Some(node) = self.root.at(path) else {
            return;
        };
        if let Some(name) = node.text().filter(|name| !names.contains(name)) {
            self.complain(path, node, unknown_provider(name, names));
        }
    }

    /// Every chain of fallbacks must end.
    fn fallbacks_end(&mut self) {
        let providers = self.list("providers");
        let text = |item: &'a TreeNode, key| item.get(key).and_then(TreeNode::text);
        let next: HashMap<_, _> = providers
            .iter()
            .filter_map(|p| Some((text(p, "name")?, text(p, "fallback_provider")?)))
            .collect();
        for (index, provider) in providers.iter().enumerate() {
            let start = text(provider, "name");
            let mut at = start;
            for _ in 0..next.len() {
                at = at.and_then(|name| next.get(name).copied());
                if at.is_some() && at == start {
                    let path = path_to("providers", index, &["fallback_provider"]);
                    let node = provider.get("fallback_provider").unwrap_or(provider);
                    self.complain(&path, node, "the chain of fallbacks returns to its start");
                    break;
                }
            }
        }
    }

    fn time_zone(&mut self) {
        let path = keys(&["rules", "default_timezone"]);
        let Some(node) = self.root.at(&path) else {
            return;
        };
        if let Some(name) = node.text().filter(|name| TimeZone::get(name).is_err()) {
            self.complain(&path, node, format!("there is no time zone `{name}`"));
        }
    }

    fn admin_address(&mut self) {
        let default = ServerSettings::default();
        let server = self.address("server", (&default.host, i64::from(default.port)));
        let admin = self.address("admin", server);
        let admin_table = self
            .root
            .get("admin")
            .filter(|table| table.get("host").is_some() || table.get("port").is_some());
        if let Some(node) = admin_table.filter(|_| admin == server && server.1 != 0) {
            self.complain(
                &keys(&["admin"]),
                node,
                "the address is the same as that of `server`",
            );
        }
    }

    fn source_names(&mut self) {
        for (index, source) in self.list("sources").iter().enumerate() {
            let name = source.get("name");
            if let Some(node) = name.filter(|name| name.text() == Some("http")) {
                let path = path_to("sources", index, &["name"]);
                let message = "`http` is the name of the HTTP source, which is always there";
                self.complain(&path, node, message);
            }
        }
    }

    /// Default fields are checked as those of actions are.
    fn default_fields(&mut self) {
        for (index, source) in self.list("sources").iter().enumerate() {
            let Some(defaults) = source.get("defaults").and_then(TreeNode::as_table) else {
                continue;
            };
            for (field, entry) in defaults {
                let text = entry.node.text();
                if text.is_some_and(|text| text.contains(char::is_control)) {
                    let path = path_to("sources", index, &["defaults", field]);
                    let message = "expected a value without control characters";
                    self.complain(&path, &entry.node, message);
                }
            }
        }
    }

    /// A field without a name would hide nothing.
    fn redacted_fields(&mut self) {
        let is_path = |text: &str| !text.split('.').any(|name| name.trim().is_empty());
        let expected = "expected the name of a field, or names with a dot between them";
        self.each_text(&["audit", "redact", "fields"], is_path, expected);
    }

    fn rule_variables(&mut self) {
        let illegal = |c: char| c.is_whitespace() || c.is_control() || c == '=';
        let is_variable = |text: &str| !text.is_empty() && !text.contains(illegal);
        let expected = "expected the name of an environment variable";
        self.each_text(&["rules", "environment"], is_variable, expected);
    }

    /// Reports the texts of a list that are not `valid`.
    fn each_text(&mut self, list: &[&str], valid: impl Fn(&str) -> bool, expected: &str) {
        let path = keys(list);
        let items = self.root.at(&path).map_or(&[][..], TreeNode::items);
        for (index, item) in items.iter().enumerate() {
            if item.text().is_some_and(|text| !valid(text)) {
                let path = [path.clone(), vec![PathStep::Item(index)]].concat();
                self.complain(&path, item, expected);
            }
        }
    }

    fn address<'b>(&self, section: &str, default: (&'b str, i64)) -> (&'b str, i64)
    where
        'a: 'b,
    {
        let value = |key| self.root.get(section)?.get(key);
        let host = value("host").and_then(TreeNode::text);
        let port = value("port").and_then(|node| match node.body {
            NodeValue::Integer(port) => Some(port),
            _ => None,
        });
        (host.unwrap_or(default.0), port.unwrap_or(default.1))
    }

    fn list(&self, section: &str) -> &'a [TreeNode] {
        self.root.get(section).map_or(&[], TreeNode::items)
    }

    fn names(&self) -> Vec<&'a str> {
        let providers = self.list("providers").iter();
        providers.filter_map(|p| p.get("name")?.text()).collect()
    }

    fn complain(&mut self, path: &[PathStep], node: &TreeNode, message: impl Into<String>) {
        self.complaints
            .push(Complaint::new(path, &node.origin, message));
    }
}

fn unknown_provider(name: &str, names: &[&str]) -> String {
    format!(
        "there is no provider `{name}`{}",
        hint(name, names.iter().copied())
    )
}

fn keys(keys: &[&str]) -> TreePath {
    keys.iter()
        .map(|key| PathStep::Key((*key).to_owned()))
        .collect()
}

fn path_to(list: &str, index: usize, inside: &[&str]) -> TreePath {
    let item = [PathStep::Key(list.to_owned()), PathStep::Item(index)];
    item.into_iter().chain(keys(inside)).collect()
}
