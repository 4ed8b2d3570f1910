//! What the rules say of an action: rules by priority, the first match decides, matches that continue add up.
//! Pure: nothing is read but the action and the time given.

use acteon_core::outcome::{Failure, FailureCode};
use acteon_core::state::{Claim, Quota, Reservation, Tally, WhenFull};
use acteon_core::verdict::{RuleFailure, VerdictDetails};
use acteon_core::{Action, Payload, Verdict};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::cel::Budget;
use crate::facts::Facts;
use crate::fault::Fault;
use crate::reads::{Gathered, Read};
use crate::rule::{AfterMatch, OnError, Rule, RuleAction, Targets};
use crate::set::RuleSet;

pub(crate) use acteon_core::state::QUOTAS_MAX;

/// How many faults the details of a verdict tell.
const TOLD_ERRORS_MAX: usize = 16;

/// What shall happen to an action. Nothing has happened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// That of the last rule that matched; allow when none did.
    pub verdict: Verdict,
    /// The last rule that matched, whatever its verdict.
    pub matched_rule: Option<CompactString>,
    /// How many rules could not be evaluated or could not do what they say.
    pub rule_errors: u32,
    /// What the audit trail says beside the matched rule.
    pub details: Option<Box<VerdictDetails>>,
    /// What to do.
    pub effect: Effect,
    /// Where the action counts once it is settled: the tallies that rules looked at, each once.
    pub notes: Vec<Tally>,
}

/// What to do with an action.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is nearly always the case: a box would be one allocation more for each action"
)]
pub enum Effect {
    /// Deliver, once its gates are passed.
    Deliver(Plan),
    /// Deliver nothing.
    #[allow(missing_docs)]
    Suppress { rule: CompactString },
    /// Deliver nothing: a rule with `on_error: fail` could not do what it says.
    Fail(Failure),
}

impl Eq for Effect {}

/// How to deliver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The provider to use in place of the action's own.
    pub provider: Option<CompactString>,
    /// The payload to deliver in place of the action's own.
    pub payload: Option<Payload>,
    /// What it has to pass first.
    pub gates: Gates,
}

/// What an action must get from the state before it is delivered, and the rule behind each part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// The dedup keys and the quotas, of which there are at most [`QUOTAS_MAX`]. The lease on an id is no matter of rules.
    pub reservation: Reservation,
    /// The rules of the dedup keys, in their order.
    pub claim_rules: SmallVec<[CompactString; 1]>,
    /// The rules of the quotas, in their order, and the provider that each uses when its quota is full. A quota that has
    /// one is only noted as full.
    pub quota_rules: SmallVec<[(CompactString, Option<CompactString>); 1]>,
}

impl RuleSet {
    /// Whether any rule wants to know anything of the state.
    pub fn asks(&self) -> bool {
        !self.reads().is_empty()
    }

    /// What the rules that could match an action want to know of the state.
    pub fn ask(&self, action: &Action, now: Timestamp) -> Vec<Read> {
        let candidates = self.index.candidates(action);
        let rules = candidates.filter_map(|number| self.rule(number));
        let nothing = Gathered::default();
        let payload = &action.payload;
        self.ask_for(
            rules,
            &mut Facts::new(action, payload, self.beside(now, &nothing)),
        )
    }

    /// Decides about an action as of `now`, `gathered` being the answers to what was asked.
    pub fn decide(&self, action: &Action, now: Timestamp, gathered: &Gathered) -> Decision {
        let mut progress = Progress::default();
        let mut candidates = self.index.candidates(action);
        let mut next = candidates.next();
        while next.is_some() {
            let payload = progress.plan.payload.clone();
            let payload = payload.as_ref().unwrap_or(&action.payload);
            let mut facts = Facts::new(action, payload, self.beside(now, gathered));
            let step = loop {
                let Some(rule) = next.and_then(|number| self.rule(number)) else {
                    break Step::End;
                };
                next = candidates.next();
                match progress.see(rule, &mut facts) {
                    Step::Next => {}
                    other => break other,
                }
            };
            progress.note(&facts);
            match step {
                Step::Modified => {}
                Step::Next | Step::End => break,
            }
        }
        progress.into_decision()
    }
}

/// What the rules up to here add up to.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) matched: Option<(Verdict, CompactString)>,
    pub(crate) rule_errors: u32,
    details: Option<Box<VerdictDetails>>,
    pub(crate) plan: Plan,
    notes: Vec<Tally>,
    /// An end other than delivery.
    ended: Option<Effect>,
}

/// How to go on after a rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// With the next rule.
    Next,
    /// With the next rule, which sees another payload: that of the plan.
    Modified,
    /// Not at all: it is decided.
    End,
}

impl Progress {
    /// Does what a rule says, if it matches.
    pub(crate) fn see(&mut self, rule: &Rule, facts: &mut Facts<'_>) -> Step {
        facts.budget = Budget::default();
        let step = match rule.condition.holds(facts) {
            Ok(false) => return Step::Next,
            Ok(true) => self.try_take(rule, facts),
            Err(fault) => Err(fault),
        };
        step.unwrap_or_else(|fault| self.fault(rule, &fault))
    }

    /// Keeps the tallies that rules looked at.
    pub(crate) fn note(&mut self, facts: &Facts<'_>) {
        for tally in facts.notes() {
            if !self.notes.contains(tally) {
                self.notes.push(Tally::clone(tally));
            }
        }
    }

    /// Does what a rule that matched says. A fault is left to the caller and has changed nothing.
    pub(crate) fn try_take(&mut self, rule: &Rule, facts: &mut Facts<'_>) -> Result<Step, Fault> {
        let mut modified = false;
        match &rule.action {
            RuleAction::Allow => {}
            RuleAction::Deny(_) | RuleAction::Suppress(_) => {
                self.end(rule, rule.action.verdict());
                return Ok(Step::End);
            }
            RuleAction::Deduplicate { ttl, key } => {
                let key = key.of_claim(&rule.name, facts)?;
                let gates = &mut self.plan.gates;
                gates.reservation.claims.push(Claim { key, ttl: *ttl });
                gates.claim_rules.push(rule.name.clone());
            }
            RuleAction::Throttle { .. } => self.throttle(rule, facts)?,
            RuleAction::Reroute(targets) => {
                self.plan.provider = Some(targets.choose(facts.action()));
            }
            RuleAction::Modify(patch) => {
                self.plan.payload = Some(patch.apply(facts)?);
                modified = true;
            }
        }
        self.matched(rule, rule.action.verdict());
        Ok(match (rule.after_match, modified) {
            (AfterMatch::Stop, _) => Step::End,
            (AfterMatch::Continue, true) => Step::Modified,
            (AfterMatch::Continue, false) => Step::Next,
        })
    }

    /// Does what the rule's `on_error` says.
    pub(crate) fn fault(&mut self, rule: &Rule, fault: &Fault) -> Step {
        self.rule_errors += 1;
        let errors = &mut self.details.get_or_insert_default().errors;
        if errors.len() < TOLD_ERRORS_MAX {
            errors.push(RuleFailure {
                rule: rule.name.clone(),
                message: fault.to_string(),
            });
        }
        match rule.on_error {
            OnError::Skip => Step::Next,
            OnError::Deny => {
                self.end(rule, Verdict::Deny);
                Step::End
            }
            OnError::Fail => {
                self.matched(rule, rule.action.verdict());
                self.ended = Some(Effect::Fail(Failure {
                    code: FailureCode::ExecutionFailed,
                    message: format_compact!(
                        "rule \"{}\" could not be applied: {fault}",
                        rule.name
                    ),
                    retryable: false,
                    attempts: 0,
                }));
                Step::End
            }
        }
    }

    pub(crate) fn into_decision(self) -> Decision {
        let (verdict, matched_rule) = match self.matched {
            Some((verdict, rule)) => (verdict, Some(rule)),
            None => (Verdict::Allow, None),
        };
        Decision {
            verdict,
            matched_rule,
            rule_errors: self.rule_errors,
            details: self.details,
            effect: self.ended.unwrap_or(Effect::Deliver(self.plan)),
            notes: self.notes,
        }
    }

    fn throttle(&mut self, rule: &Rule, facts: &mut Facts<'_>) -> Result<(), Fault> {
        let RuleAction::Throttle {
            max_count,
            window,
            key,
            on_full,
        } = &rule.action
        else {
            return Ok(());
        };
        if self.plan.gates.quota_rules.len() == QUOTAS_MAX {
            return Err(Fault::TooManyQuotas);
        }
        let when_full = match on_full {
            Some(_) => WhenFull::Continue,
            None => WhenFull::Refuse,
        };
        let key = key.of_quota(&rule.name, facts)?;
        let gates = &mut self.plan.gates;
        gates.reservation.quotas.push(Quota {
            key,
            max_count: *max_count,
            window: *window,
            when_full,
        });
        let rule = (rule.name.clone(), on_full.clone());
        gates.quota_rules.push(rule);
        Ok(())
    }

    /// Remembers the rule as the last that matched.
    fn matched(&mut self, rule: &Rule, verdict: Verdict) {
        let before = self.matched.replace((verdict, rule.name.clone()));
        if let Some((_, before)) = before {
            let matched = &mut self.details.get_or_insert_default().matched;
            if matched.is_empty() {
                matched.push(before);
            }
            matched.push(rule.name.clone());
        }
    }

    fn end(&mut self, rule: &Rule, verdict: Verdict) {
        self.matched(rule, verdict);
        if let Some(reason) = rule.action.reason() {
            self.details.get_or_insert_default().reason = Some(reason.to_owned());
        }
        self.ended = Some(Effect::Suppress {
            rule: rule.name.clone(),
        });
    }
}

impl Targets {
    /// The same target for the same id, on every node.
    fn choose(&self, action: &Action) -> CompactString {
        match self {
            Self::One(provider) => provider.clone(),
            Self::Weighted(targets) => {
                let sum = targets.last().map_or(1, |(sum, _)| *sum);
                let hash = Sha256::digest(action.id.as_bytes());
                let number = hash
                    .iter()
                    .take(8)
                    .fold(0u64, |n, byte| n << 8 | u64::from(*byte));
                let at = targets.partition_point(|(up_to, _)| *up_to <= number % sum);
                targets
                    .get(at)
                    .map(|(_, provider)| provider.clone())
                    .unwrap_or_default()
            }
        }
    }
}
