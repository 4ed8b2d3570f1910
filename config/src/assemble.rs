//! From the checked tree to settings: each section into its struct, each adapter's options into its plan.

use std::cmp::Reverse;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use acteon_core::registry::PlanError;
use acteon_core::{Family, Plan, Registry};

use crate::Adapters;
use crate::errors::Complaint;
use crate::schema::key_names;
use crate::settings::{Adapted, Keys, ProviderKeys, Settings};
use crate::tree::{Body, Node, Origin, Path, Step, to_json_map};

/// Texts shorter than this are struck out of messages only where they stand in quotes.
const SHORT: usize = 4;

/// Makes settings of `root`, in which `secrets` stand resolved. What `complaints` tell of already is passed over,
/// what else is wrong is added.
pub(crate) fn assemble(
    root: &Node,
    secrets: &[Path],
    adapters: &Adapters<'_>,
    complaints: &mut Vec<Complaint>,
) -> Option<Settings> {
    let mut work = Assembly {
        root,
        secrets,
        complaints,
    };
    let state = work.adapted(adapters.states, &[key("state")]);
    let audit = work.adapted(adapters.audits, &[key("audit")]);
    let sources = work.list("sources", adapters.sources);
    let providers = work.list("providers", adapters.sinks);
    Some(Settings {
        server: work.section("server")?,
        admin: work.section("admin")?,
        rules: work.section("rules")?,
        executor: work.section("executor")?,
        pipeline: work.section("pipeline")?,
        circuit_breaker: work.section("circuit_breaker")?,
        redelivery: work.section("redelivery")?,
        dead_letters: work.section("dead_letters")?,
        log: work.section("log")?,
        state: state?,
        audit: audit?,
        sources: sources.into_iter().collect::<Option<_>>()?,
        providers: providers.into_iter().collect::<Option<_>>()?,
    })
}

struct Assembly<'a> {
    root: &'a Node,
    secrets: &'a [Path],
    complaints: &'a mut Vec<Complaint>,
}

impl Assembly<'_> {
    fn section<S: DeserializeOwned>(&mut self, name: &str) -> Option<S> {
        let path = [key(name)];
        if self.is_broken(&path) {
            return None;
        }
        self.read(&path, Value::Object(self.table(&path)))
    }

    fn list<K: Keys, F: Family>(
        &mut self,
        name: &str,
        registry: &Registry<F>,
    ) -> Vec<Option<Adapted<K, F>>> {
        let count = self.root.get(name).map_or(0, |list| list.items().len());
        (0..count)
            .map(|index| self.adapted(registry, &[key(name), Step::Item(index)]))
            .collect()
    }

    fn adapted<K: Keys, F: Family>(
        &mut self,
        registry: &Registry<F>,
        path: &[Step],
    ) -> Option<Adapted<K, F>> {
        let names = key_names::<K>();
        let (mut ours, options): (Map<_, _>, Map<_, _>) = self
            .table(path)
            .into_iter()
            .partition(|(key, _)| names.contains(key));
        let kind = ours
            .get(K::TAG)
            .map_or(K::DEFAULT, Value::as_str)?
            .to_owned();
        let plan = self.plan(registry, &kind, options, path);
        if self.is_broken(path) {
            return None;
        }
        if K::PREFIX == ProviderKeys::PREFIX {
            self.fill_in(&mut ours, &names);
        }
        let keys = self.read(path, Value::Object(ours))?;
        Some(Adapted { keys, plan: plan? })
    }

    /// What a provider does not say is as in `[executor]`.
    fn fill_in(&self, provider: &mut Map<String, Value>, names: &[String]) {
        let executor = [key("executor")];
        if !self.is_broken(&executor) {
            let all = self.table(&executor).into_iter();
            for (key, value) in all.filter(|(key, _)| names.contains(key)) {
                provider.entry(key).or_insert(value);
            }
        }
    }

    /// Plans an adapter. An option that it refuses is taken out and the rest tried again, to find all that is wrong.
    fn plan<F: Family>(
        &mut self,
        registry: &Registry<F>,
        kind: &str,
        options: Map<String, Value>,
        path: &[Step],
    ) -> Option<Plan<F>> {
        let mut options = Value::Object(options);
        let known: Vec<Path> = self.complaints.iter().map(|c| c.path.clone()).collect();
        for inside in known.iter().filter_map(|p| p.strip_prefix(path)) {
            take_out(&mut options, inside);
        }
        loop {
            let (place, message) = match registry.plan(kind, options.clone()) {
                Ok(plan) => return Some(plan),
                Err(PlanError::Options { path, message }) => (path, message),
                Err(unknown) => (String::new(), unknown.to_string()),
            };
            let inside = self.find(path, &place);
            let whole = [path, inside.as_slice()].concat();
            if !self.is_broken(&whole) {
                self.complain(&whole, &message);
            }
            if !take_out(&mut options, &inside) {
                return None;
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, path: &[Step], value: Value) -> Option<T> {
        match serde_path_to_error::deserialize(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let inside = self.find(path, &error.path().to_string());
                let message = error.inner().to_string();
                self.complain(&[path, inside.as_slice()].concat(), &message);
                None
            }
        }
    }

    /// Follows a path as serde writes it, such as `headers.x-key` or `codes[2].from`, as far as it leads.
    fn find(&self, path: &[Step], written: &str) -> Path {
        let mut found = Path::new();
        let mut node = self.root.at(path);
        let mut rest = written;
        while let Some(at) = node.filter(|_| !rest.is_empty()) {
            let Some((step, after)) = next_step(at, rest) else {
                break;
            };
            rest = after;
            found.push(step);
            node = self.root.at(&[path, found.as_slice()].concat());
        }
        found
    }

    fn table(&self, path: &[Step]) -> Map<String, Value> {
        let table = self.root.at(path).and_then(Node::as_table);
        table.map(to_json_map).unwrap_or_default()
    }

    fn is_broken(&self, path: &[Step]) -> bool {
        self.complaints
            .iter()
            .any(|complaint| complaint.path.starts_with(path))
    }

    fn complain(&mut self, path: &[Step], message: &str) {
        let mut texts: Vec<_> = self
            .secrets
            .iter()
            .filter_map(|p| self.root.at(p)?.text())
            .collect();
        collect_addresses(self.root, &mut texts);
        texts.sort_by_key(|text| Reverse(text.len()));
        let message = without_values(message.to_owned(), &texts);
        let origin = self
            .root
            .at(path)
            .map_or(Origin::Default, |node| node.origin.clone());
        self.complaints.push(Complaint::new(path, &origin, message));
    }
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// The step with which `written` begins, and what follows. A key may itself hold dots: the longest wins.
fn next_step<'a>(node: &Node, written: &'a str) -> Option<(Step, &'a str)> {
    match &node.body {
        Body::Table(table) => {
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
            let fits = |key: &&String| written.strip_prefix(key.as_str()).is_some_and(ends);
            let key = table.keys().filter(fits).max_by_key(|key| key.len())?;
            let rest = &written[key.len()..];
            Some((
                Step::Key(key.clone()),
                rest.strip_prefix('.').unwrap_or(rest),
            ))
        }
        Body::List(_) => {
            let (index, rest) = written.strip_prefix('[')?.split_once(']')?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            Some((Step::Item(index.parse().ok()?), rest))
        }
        _ => None,
    }
}

/// Removes the option at `path`; `false` when there is none. Of a list the whole is removed.
fn take_out(options: &mut Value, path: &[Step]) -> bool {
    let mut at = options;
    for (depth, step) in path.iter().enumerate() {
        let Step::Key(key) = step else { return false };
        let last = !matches!(path.get(depth + 1), Some(Step::Key(_)));
        let Some(fields) = at.as_object_mut() else {
            return false;
        };
        if last {
            return fields.remove(key).is_some();
        }
        match fields.get_mut(key) {
            Some(inside) => at = inside,
            None => return false,
        }
    }
    false
}

/// Libraries like to quote what they refuse: secrets, and addresses that may hold one, are struck out.
fn without_values(message: String, texts: &[&str]) -> String {
    texts.iter().fold(message, |message, text| {
        let message = message.replace(&format!("{text:?}"), "(not shown)");
        if text.len() < SHORT {
            message
        } else {
            message.replace(text, "(not shown)")
        }
    })
}

fn collect_addresses<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.body {
        Body::Text(text) if text.contains("://") || text.contains('@') => texts.push(text),
        Body::List(items) => items.iter().for_each(|item| collect_addresses(item, texts)),
        Body::Table(table) => {
            let nodes = table.values().map(|entry| &entry.node);
            nodes.for_each(|node| collect_addresses(node, texts));
        }
        _ => {}
    }
}
