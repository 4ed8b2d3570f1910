//! From the checked tree to settings: each section into its struct, each adapter's options into its plan.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use acteon_core::registry::PlanError;
use acteon_core::{Family, Plan, Registry};

use crate::Adapters;
use crate::errors::Complaint;
use crate::schema::key_names;
use crate::settings::{Adapted, Keys, ProviderKeys, Settings};
use crate::tree::{Node, Origin, Path, Step, to_json_map};
use crate::whole::{Section, Whole};

/// Makes settings of what is written. Where `complaints` tell of something wrong, or something more is found, which is
/// added, there a section has its defaults, and a source or provider is left out. `None` where not even that can be done.
pub(crate) fn assemble(
    whole: &Arc<Whole>,
    adapters: &Adapters<'_>,
    complaints: &mut Vec<Complaint>,
) -> Option<Settings> {
    let mut work = Assembly {
        whole,
        root: &whole.root,
        complaints,
    };
    let state = work.backend(adapters.states, "state");
    let audit = work.backend(adapters.audits, "audit");
    let sources = work.list("sources", adapters.sources);
    let providers = work.list("providers", adapters.sinks);
    let providers_named = work.names("providers");
    Some(Settings {
        server: work.section("server"),
        admin: work.section("admin"),
        rules: work.section("rules"),
        executor: work.section("executor"),
        pipeline: work.section("pipeline"),
        circuit_breaker: work.section("circuit_breaker"),
        redelivery: work.section("redelivery"),
        dead_letters: work.section("dead_letters"),
        log: work.section("log"),
        state: state?,
        audit: audit?,
        sources,
        providers,
        providers_named,
        section: Section::new(whole, &[]),
    })
}

struct Assembly<'a> {
    whole: &'a Arc<Whole>,
    root: &'a Node,
    complaints: &'a mut Vec<Complaint>,
}

impl Assembly<'_> {
    fn section<S: DeserializeOwned + Default>(&mut self, name: &str) -> S {
        let path = [key(name)];
        let mut value = Value::Object(self.table(&path));
        let broken = self.complaints.iter();
        for inside in broken.filter_map(|complaint| complaint.path.strip_prefix(&path)) {
            take_out(&mut value, inside);
        }
        self.read(&path, value).unwrap_or_default()
    }

    /// The backend of a section, or the default one where that cannot be read.
    fn backend<K: Keys + Default, F: Family>(
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
                section: Section::new(self.whole, &path),
            })
        })
    }

    fn list<K: Keys, F: Family>(
        &mut self,
        name: &str,
        registry: &Registry<F>,
    ) -> Vec<Adapted<K, F>> {
        let count = self.root.get(name).map_or(0, |list| list.items().len());
        (0..count)
            .filter_map(|index| self.adapted(registry, &[key(name), Step::Item(index)]))
            .collect()
    }

    /// The names of a list's entries, also of those that cannot be read.
    fn names(&self, list: &str) -> Vec<String> {
        let entries = self.root.get(list).map_or(&[][..], Node::items).iter();
        let names = entries.filter_map(|entry| entry.get("name")?.text());
        names.map(str::to_owned).collect()
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
        Some(Adapted {
            keys,
            plan: plan?,
            section: Section::new(self.whole, path),
        })
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
            let (inside, _) = self.whole.find(path, &place);
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
                let (inside, _) = self.whole.find(path, &error.path().to_string());
                let message = error.inner().to_string();
                self.complain(&[path, inside.as_slice()].concat(), &message);
                None
            }
        }
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
        let message = self.whole.without_secrets(message);
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
