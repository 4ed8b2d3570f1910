//! Turns the checked tree into the configuration: each section becomes its struct, each adapter's options its plan.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use acteon_core::registry::PlanError;
use acteon_core::{Family, Plan, Registry};

use crate::errors::Complaint;
use crate::resolved::{Adapted, AdapterKeys, ConfiguredNames, ResolvedConfig};
use crate::schema::key_names;
use crate::section::{ConfigTree, Section};
use crate::tree::{NodeValue, PathStep, TreeNode, TreePath, ValueOrigin, to_json_map};
use crate::{Adapters, Options, PipelineKeys};

/// Builds the configuration, and adds the mistakes it finds to `complaints`. A key or section with a mistake keeps its
/// default, and a source or provider with one is left out. `None` if even that is impossible.
pub(crate) fn assemble<P: PipelineKeys>(
    tree: &Arc<ConfigTree>,
    adapters: &Adapters<'_>,
    complaints: &mut Vec<Complaint>,
) -> Option<ResolvedConfig<P>> {
    let mut work = Assembly {
        tree,
        root: &tree.root,
        complaints,
    };
    let state = work.backend(adapters.states, "state");
    let audit = work.backend(adapters.audits, "audit");
    let sources = work.list("sources", adapters.sources);
    let providers = work.list("providers", adapters.sinks);
    let names = ConfiguredNames {
        providers: work.names("providers"),
        state_machines: work.names("state_machines"),
    };
    Some(ResolvedConfig {
        server: work.section("server"),
        admin: work.section("admin"),
        rules: work.section("rules"),
        pipeline: work.sections(),
        dead_letters: work.section("dead_letters"),
        log: work.section("log"),
        state: state?,
        audit: audit?,
        sources,
        providers,
        names,
        section: Section::new(tree, &[]),
    })
}

struct Assembly<'a> {
    tree: &'a Arc<ConfigTree>,
    root: &'a TreeNode,
    complaints: &'a mut Vec<Complaint>,
}

impl Assembly<'_> {
    fn section<S: DeserializeOwned + Default>(&mut self, name: &str) -> S {
        let path = [key(name)];
        let valid = self.valid_keys(&path);
        self.read(&path, valid).unwrap_or_default()
    }

    /// The sections that `S` has a field for.
    fn sections<S: Options + Default>(&mut self) -> S {
        let names = key_names::<S>().into_iter();
        let sections = names.filter_map(|name| {
            let valid = self.valid_section(&name)?;
            Some((name, valid))
        });
        let mut sections = Value::Object(sections.collect());
        loop {
            match self.read(&[], sections.clone()) {
                Ok(read) => return read,
                Err(inside) if remove(&mut sections, inside.get(..1).unwrap_or_default()) => {}
                Err(_) => return S::default(),
            }
        }
    }

    /// A section without its mistakes: the keys of a table, or the items of a list, which are replaced by null.
    fn valid_section(&self, name: &str) -> Option<Value> {
        let path = [key(name)];
        let section = self.root.get(name)?;
        if self.complaints.iter().any(|found| found.path == path) {
            return None;
        }
        let NodeValue::List(items) = &section.body else {
            return Some(self.valid_keys(&path));
        };
        let valid = items.iter().enumerate().map(|(index, item)| {
            match self.is_broken(&[key(name), PathStep::Item(index)]) {
                true => Value::Null,
                false => item.to_json(),
            }
        });
        Some(valid.collect())
    }

    /// The table at `path` without the keys that have mistakes.
    fn valid_keys(&self, path: &[PathStep]) -> Value {
        let mut value = Value::Object(self.table(path));
        let broken = self.complaints.iter();
        for inside in broken.filter_map(|complaint| complaint.path.strip_prefix(path)) {
            remove(&mut value, inside);
        }
        value
    }

    /// The backend of a section, or the default one if it cannot be read.
    fn backend<K: AdapterKeys + Default, F: Family>(
        &mut self,
        registry: &Registry<F>,
        name: &str,
    ) -> Option<Adapted<K, F>> {
        let path = [key(name)];
        let read = self.adapted(registry, &path);
        read.or_else(|| {
            let plan = registry.plan(K::DEFAULT?, Value::Object(Map::new())).ok()?;
            Some(Adapted {
                keys: K::default(),
                plan,
                section: Section::new(self.tree, &path),
            })
        })
    }

    fn list<K: AdapterKeys, F: Family>(
        &mut self,
        name: &str,
        registry: &Registry<F>,
    ) -> Vec<Adapted<K, F>> {
        let count = self.root.get(name).map_or(0, |list| list.items().len());
        (0..count)
            .filter_map(|index| self.adapted(registry, &[key(name), PathStep::Item(index)]))
            .collect()
    }

    /// The names of all entries of a list, including unreadable ones.
    fn names(&self, list: &str) -> Vec<String> {
        let entries = self.root.get(list).map_or(&[][..], TreeNode::items).iter();
        let names = entries.filter_map(|entry| entry.get("name")?.text());
        names.map(str::to_owned).collect()
    }

    fn adapted<K: AdapterKeys, F: Family>(
        &mut self,
        registry: &Registry<F>,
        path: &[PathStep],
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
        if let Some(section) = K::FALLBACK_SECTION {
            self.fill_in(&mut ours, &names, section);
        }
        let keys = self.read(path, Value::Object(ours)).ok()?;
        Some(Adapted {
            keys,
            plan: plan?,
            section: Section::new(self.tree, path),
        })
    }

    /// Takes the values of missing keys from `section`.
    fn fill_in(&self, keys: &mut Map<String, Value>, names: &[String], section: &str) {
        let fallback = [key(section)];
        if !self.is_broken(&fallback) {
            let all = self.table(&fallback).into_iter();
            for (key, value) in all.filter(|(key, _)| names.contains(key)) {
                keys.entry(key).or_insert(value);
            }
        }
    }

    /// Plans an adapter. An option that it refuses is removed and the rest tried again, to find every mistake.
    fn plan<F: Family>(
        &mut self,
        registry: &Registry<F>,
        kind: &str,
        options: Map<String, Value>,
        path: &[PathStep],
    ) -> Option<Plan<F>> {
        let mut options = Value::Object(options);
        let known: Vec<TreePath> = self.complaints.iter().map(|c| c.path.clone()).collect();
        for inside in known.iter().filter_map(|p| p.strip_prefix(path)) {
            remove(&mut options, inside);
        }
        loop {
            let (place, message) = match registry.plan(kind, options.clone()) {
                Ok(plan) => return Some(plan),
                Err(PlanError::Options { path, message }) => (path, message),
                Err(unknown) => (String::new(), unknown.to_string()),
            };
            let (inside, _) = self.tree.find(path, &place);
            let full = [path, inside.as_slice()].concat();
            if !self.is_broken(&full) {
                self.complain(&full, &message);
            }
            if !remove(&mut options, &inside) {
                return None;
            }
        }
    }

    /// Deserializes the value at `path`. The error is the path inside it to the mistake, which has been reported.
    fn read<T: DeserializeOwned>(
        &mut self,
        path: &[PathStep],
        value: Value,
    ) -> Result<T, TreePath> {
        match serde_path_to_error::deserialize(value) {
            Ok(read) => Ok(read),
            Err(error) => {
                let (inside, _) = self.tree.find(path, &error.path().to_string());
                let message = error.inner().to_string();
                self.complain(&[path, inside.as_slice()].concat(), &message);
                Err(inside)
            }
        }
    }

    fn table(&self, path: &[PathStep]) -> Map<String, Value> {
        let table = self.root.at(path).and_then(TreeNode::as_table);
        table.map(to_json_map).unwrap_or_default()
    }

    fn is_broken(&self, path: &[PathStep]) -> bool {
        self.complaints
            .iter()
            .any(|complaint| complaint.path.starts_with(path))
    }

    fn complain(&mut self, path: &[PathStep], message: &str) {
        let message = self.tree.without_secrets(message);
        let origin = self
            .root
            .at(path)
            .map_or(ValueOrigin::Default, |node| node.origin.clone());
        self.complaints.push(Complaint::new(path, &origin, message));
    }
}

fn key(name: &str) -> PathStep {
    PathStep::Key(name.to_owned())
}

/// Removes the option at `path`; `false` if there is none. If `path` leads into a list, the whole list is removed.
fn remove(options: &mut Value, path: &[PathStep]) -> bool {
    let mut at = options;
    for (depth, step) in path.iter().enumerate() {
        let PathStep::Key(key) = step else {
            return false;
        };
        let last = !matches!(path.get(depth + 1), Some(PathStep::Key(_)));
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
