//! From the tree of a file to the action of a rule, in which every parameter is known, has its type and is within its
//! bounds.

use std::time::Duration;

use compact_str::CompactString;

use super::{EventRule, RuleAction, Targets};
use crate::cel::CelReader;
use crate::fields::{Fields, expected};
use crate::fingerprint::FingerprintFields;
use crate::key::KeySpec;
use crate::load::LoadTables;
use crate::modify::PatchReader;
use crate::path::FactPath;
use crate::problems::{FileProblems, unknown};
use crate::reads::ReadTemplate;
use crate::settings::{CompileSettings, KnownProviders};
use crate::yaml::{Data, Node};

/// The longest window, and the longest time a dedup key is remembered: ten years.
pub(crate) const SECONDS_MAX: i64 = 10 * 366 * 24 * 60 * 60;
pub(crate) const DEDUP_TTL: Duration = Duration::from_secs(24 * 60 * 60);
pub(crate) const KEY_PATHS_MAX: usize = 32;
/// The fingerprint fields of a rule that names none.
pub(crate) const FINGERPRINT_FIELDS: [&str; 2] = ["action_type", "metadata"];
pub(crate) const TARGETS_MAX: usize = 1000;
pub(crate) const WEIGHT_MAX: i64 = 1_000_000;
/// The keys of a weighted target.
pub(crate) const TARGET_KEYS: [&str; 2] = ["provider", "weight"];
/// The values of `on_exceeded`, and whether another provider takes over.
pub(crate) const ON_EXCEEDED: [(&str, bool); 2] = [("reject", false), ("reroute", true)];

pub(crate) const ACTION_TYPES: [(&str, ActionKind); 10] = [
    ("allow", ActionKind::Allow),
    ("deny", ActionKind::Deny),
    ("suppress", ActionKind::Suppress),
    ("deduplicate", ActionKind::Deduplicate),
    ("dedup", ActionKind::Deduplicate),
    ("throttle", ActionKind::Throttle),
    ("reroute", ActionKind::Reroute),
    ("modify", ActionKind::Modify),
    ("group", ActionKind::Group),
    ("state_machine", ActionKind::StateMachine),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionKind {
    Allow,
    Deny,
    Suppress,
    Deduplicate,
    Throttle,
    Reroute,
    Modify,
    Group,
    StateMachine,
}

impl ActionKind {
    /// The parameters, `type` included.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Allow => &["type"],
            Self::Deny | Self::Suppress => &["type", "reason"],
            Self::Deduplicate => &["type", "ttl_seconds", "key"],
            Self::Throttle => &[
                "type",
                "max_count",
                "window_seconds",
                "key",
                "on_exceeded",
                "target_provider",
            ],
            Self::Reroute => &["type", "target_provider", "targets"],
            Self::Modify => &["type", "changes"],
            Self::Group => &[
                "type",
                "group_by",
                "group_wait_seconds",
                "group_interval_seconds",
                "max_group_size",
                "flush_at",
                "days",
                "unless",
                "provider",
                "template",
            ],
            Self::StateMachine => &["type", "state_machine", "fingerprint_fields"],
        }
    }
}

/// Reads the action of one rule.
pub(super) struct ActionReader<'r> {
    pub(super) tables: &'r mut LoadTables,
    pub(super) settings: &'r CompileSettings,
    pub(super) zone: u32,
    pub(super) problems: &'r mut FileProblems,
}

impl ActionReader<'_> {
    /// None if anything is wrong; the problems say what.
    pub(super) fn read(&mut self, node: &Node) -> Option<RuleAction> {
        let fields = Fields::of(node, "a mapping with the key `type`", self.problems)?;
        let type_node = fields.required("type", self.problems)?;
        let kind = type_node.word("action type", &ACTION_TYPES, self.problems)?;
        fields.only("parameter", kind.parameters(), self.problems);
        self.of_kind(kind, &fields)
    }

    fn of_kind(&mut self, kind: ActionKind, fields: &Fields<'_>) -> Option<RuleAction> {
        match kind {
            ActionKind::Allow => Some(RuleAction::Allow),
            ActionKind::Deny => Some(RuleAction::Deny(self.reason(fields))),
            ActionKind::Suppress => Some(RuleAction::Suppress(self.reason(fields))),
            ActionKind::Deduplicate => self.deduplicate(fields),
            ActionKind::Throttle => self.throttle(fields),
            ActionKind::Reroute => self.reroute(fields).map(RuleAction::Reroute),
            ActionKind::Modify => self.modify(fields),
            ActionKind::Group => self.group(fields),
            ActionKind::StateMachine => self.state_machine(fields),
        }
    }

    fn reason(&mut self, fields: &Fields<'_>) -> Option<String> {
        let node = fields.get("reason")?;
        node.text("a string", self.problems).map(str::to_owned)
    }

    fn deduplicate(&mut self, fields: &Fields<'_>) -> Option<RuleAction> {
        let ttl = match fields.get("ttl_seconds") {
            None => Some(DEDUP_TTL),
            Some(node) => self.seconds(node),
        };
        let key = self.key(fields);
        Some(RuleAction::Deduplicate {
            ttl: ttl?,
            key: key?,
        })
    }

    fn throttle(&mut self, fields: &Fields<'_>) -> Option<RuleAction> {
        let max_count = fields
            .required("max_count", self.problems)
            .and_then(|node| node.integer(1, u32::MAX.into(), self.problems))
            .and_then(|count| u32::try_from(count).ok());
        let window = fields.required("window_seconds", self.problems);
        let window = window.and_then(|node| self.seconds(node));
        let key = self.key(fields);
        let on_full = self.on_exceeded(fields);
        Some(RuleAction::Throttle {
            max_count: max_count?,
            window: window?,
            key: key?,
            on_full: on_full?,
        })
    }

    /// The target of `on_exceeded: reroute`; an inner `None` is `reject`.
    fn on_exceeded(&mut self, fields: &Fields<'_>) -> Option<Option<CompactString>> {
        let reroutes = match fields.get("on_exceeded") {
            None => false,
            Some(node) => node.word("value of `on_exceeded`", &ON_EXCEEDED, self.problems)?,
        };
        match (reroutes, fields.get("target_provider")) {
            (false, None) => Some(None),
            (true, Some(node)) => self.provider(node).map(Some),
            (true, None) => {
                let message = "`on_exceeded: reroute` needs a `target_provider`";
                self.problems.at(fields.place, message);
                None
            }
            (false, Some(node)) => {
                let message = "`target_provider` needs `on_exceeded: reroute`";
                self.problems.at(node.place, message);
                None
            }
        }
    }

    fn reroute(&mut self, fields: &Fields<'_>) -> Option<Targets> {
        match (fields.get("target_provider"), fields.get("targets")) {
            (Some(one), None) => self.provider(one).map(Targets::One),
            (None, Some(many)) => self.targets(many),
            (Some(_), Some(many)) => {
                let message = "`targets` cannot be combined with `target_provider`";
                self.problems.at(many.place, message);
                None
            }
            (None, None) => {
                let message = "the key `target_provider` is missing (or `targets`)";
                self.problems.at(fields.place, message);
                None
            }
        }
    }

    fn targets(&mut self, node: &Node) -> Option<Targets> {
        let items = node.list("a list of `{provider, weight}`", self.problems)?;
        if items.is_empty() || items.len() > TARGETS_MAX {
            let message = format!("expected 1 to {TARGETS_MAX} targets, found {}", items.len());
            self.problems.at(node.place, message);
            return None;
        }
        let read: Vec<_> = items.iter().map(|item| self.target(item)).collect();
        let mut sum = 0;
        let targets: Option<Vec<_>> = read
            .into_iter()
            .map(|target| {
                let (weight, provider) = target?;
                sum += weight;
                Some((sum, provider))
            })
            .collect();
        targets.map(|targets| Targets::Weighted(targets.into()))
    }

    fn target(&mut self, node: &Node) -> Option<(u64, CompactString)> {
        let fields = Fields::of(
            node,
            "a mapping with `provider` and `weight`",
            self.problems,
        )?;
        fields.only("key", &TARGET_KEYS, self.problems);
        let provider = fields.required("provider", self.problems);
        let provider = provider.and_then(|node| self.provider(node));
        let weight = fields
            .required("weight", self.problems)
            .and_then(|node| node.integer(1, WEIGHT_MAX, self.problems))
            .and_then(|weight| u64::try_from(weight).ok());
        Some((weight?, provider?))
    }

    fn modify(&mut self, fields: &Fields<'_>) -> Option<RuleAction> {
        let node = fields.required("changes", self.problems)?;
        if let Data::Null = node.data {
            return expected(node, "the changes (a mapping)", self.problems);
        }
        let mut reader = PatchReader {
            paths: &mut self.tables.paths,
            zone: self.zone,
            problems: self.problems,
        };
        reader.read(node).map(RuleAction::Modify)
    }

    fn state_machine(&mut self, fields: &Fields<'_>) -> Option<RuleAction> {
        let machine = fields.required("state_machine", self.problems);
        let machine = machine.and_then(|node| self.machine(node));
        let paths = match fields.get("fingerprint_fields") {
            Some(node) => self.paths(node, "a list of paths")?,
            None => {
                let default = FINGERPRINT_FIELDS.iter();
                let paths = default.map(|path| self.tables.paths.short_path(path, self.zone));
                paths.collect::<Result<_, _>>().ok()?
            }
        };
        let fields = FingerprintFields(paths.into());
        let read = ReadTemplate::Event(fields.clone());
        Some(RuleAction::StateMachine(EventRule {
            machine: machine?,
            read: self.tables.reads.number(read),
            fields,
        }))
    }

    fn machine(&mut self, node: &Node) -> Option<CompactString> {
        let name = node.text("the name of a state machine", self.problems)?;
        let known = &self.settings.state_machines;
        if !known.contains(name) {
            let names: Vec<_> = known.iter().map(CompactString::as_str).collect();
            let message = unknown("state machine", name, &names);
            self.problems.at(node.place, message);
            return None;
        }
        Some(name.into())
    }

    fn seconds(&mut self, node: &Node) -> Option<Duration> {
        let seconds = node.integer(1, SECONDS_MAX, self.problems)?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    fn key(&mut self, fields: &Fields<'_>) -> Option<KeySpec> {
        let Some(node) = fields.get("key") else {
            return Some(KeySpec::Default);
        };
        if let Data::Text(text) = &node.data {
            return self.cel_key(node, text);
        }
        self.paths(node, "a list of paths, or an expression")
            .map(KeySpec::Paths)
    }

    pub(super) fn paths(&mut self, node: &Node, what: &str) -> Option<Box<[FactPath]>> {
        let items = node.list(what, self.problems)?;
        if items.is_empty() || items.len() > KEY_PATHS_MAX {
            let message = format!("expected 1 to {KEY_PATHS_MAX} paths, found {}", items.len());
            self.problems.at(node.place, message);
            return None;
        }
        let mut paths = Vec::new();
        for item in items {
            let text = item.text("a path, such as `payload.order_id`", self.problems);
            match text.map(|text| self.tables.paths.short_path(text, self.zone)) {
                Some(Ok(path)) => paths.push(path),
                Some(Err(message)) => self.problems.at(item.place, message),
                None => {}
            }
        }
        (paths.len() == items.len()).then(|| paths.into())
    }

    fn cel_key(&mut self, node: &Node, text: &str) -> Option<KeySpec> {
        let mut reader = CelReader {
            tables: self.tables,
            zone: self.zone,
        };
        match reader.program(text) {
            Ok(program) => Some(KeySpec::Cel(Box::new(program))),
            Err(problem) => {
                problem.report(node, self.problems);
                None
            }
        }
    }

    pub(super) fn provider(&mut self, node: &Node) -> Option<CompactString> {
        let name = node.text("the name of a provider", self.problems)?;
        if let KnownProviders::Only(known) = &self.settings.providers
            && !known.contains(name)
        {
            let names: Vec<_> = known.iter().map(CompactString::as_str).collect();
            self.problems
                .at(node.place, unknown("provider", name, &names));
            return None;
        }
        if name.is_empty() || name.len() > acteon_core::decode::NAME_BYTES_MAX {
            return expected(node, "the name of a provider", self.problems);
        }
        Some(name.into())
    }
}
