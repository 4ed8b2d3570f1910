//! Reads a silence of a setup.

use acteon_core::silence::{MatchOp, SilenceMatcher};
use acteon_core::silence_admin::NewSilence;
use acteon_rules::reading::{Fields, Node};
use jiff::Timestamp;

use super::Reader;
use crate::case::GivenSilence;

const SILENCE_KEYS: [&str; 5] = ["id", "matchers", "lasts", "namespace", "tenant"];
const MATCHER_KEYS: [&str; 3] = ["name", "op", "value"];
const OPS: [(&str, MatchOp); 4] = [
    ("=", MatchOp::Equal),
    ("!=", MatchOp::NotEqual),
    ("=~", MatchOp::Matches),
    ("!~", MatchOp::MatchesNot),
];

impl Reader<'_> {
    pub(super) fn silence(&mut self, node: &Node) -> Option<GivenSilence> {
        let fields = Fields::of(node, "a silence (a mapping)", self.problems)?;
        fields.only("key of a silence", &SILENCE_KEYS, self.problems);
        let namespace = self.scoped(&fields, "namespace", self.defaults.namespace.clone());
        let tenant = self.scoped(&fields, "tenant", self.defaults.tenant.clone());
        let id = self.scoped(&fields, "id", None);
        let lasts = fields
            .required("lasts", self.problems)
            .and_then(|node| self.duration(node));
        let matchers = fields.required("matchers", self.problems)?;
        let items = matchers.list("a list of matchers", self.problems)?.iter();
        let items: Option<Vec<_>> = items.map(|node| self.matcher(node)).collect();
        let given = GivenSilence {
            id: id?,
            namespace: namespace?,
            tenant: tenant?,
            matchers: items?,
            lasts: lasts?,
        };
        self.check_silence(&given, matchers).then_some(given)
    }

    fn matcher(&mut self, node: &Node) -> Option<SilenceMatcher> {
        let fields = Fields::of(node, "a matcher (a mapping)", self.problems)?;
        fields.only("key of a matcher", &MATCHER_KEYS, self.problems);
        let name = self.scoped(&fields, "name", None);
        let op = fields
            .required("op", self.problems)
            .and_then(|node| node.word("operator", &OPS, self.problems));
        let value = self.scoped(&fields, "value", None);
        Some(SilenceMatcher {
            name: name?,
            op: op?,
            value: value?,
        })
    }

    /// As the API checks it, except for its end.
    fn check_silence(&mut self, given: &GivenSilence, matchers: &Node) -> bool {
        let asked = NewSilence {
            namespace: given.namespace.clone(),
            tenant: given.tenant.clone(),
            matchers: given.matchers.clone(),
            starts_at: None,
            ends_at: Timestamp::MAX,
            comment: "".into(),
        };
        match acteon_silences::check_content(&asked) {
            Ok(()) => true,
            Err(problem) => {
                let message = format!("{}: {}", problem.field, problem.message);
                self.problems.at(matchers.place, message);
                false
            }
        }
    }
}
