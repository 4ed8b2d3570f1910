//! Decides what to do with an action: rules are tried by priority, the first match decides, and matches with `continue`
//! add up. Pure: it reads only its arguments.

use std::sync::Arc;

use acteon_core::outcome::{Failure, FailureCode};
use acteon_core::state::{
    Answer, Claim, EventId, EventValue, GroupTiming, QUOTAS_MAX, Quota, Reservation, StoredEvent,
    Tally, WhenFull,
};
use acteon_core::verdict::{RuleFailure, VerdictDetails};
use acteon_core::{Action, Payload, Verdict};
use acteon_groups::GroupSettings;
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::answers::{StateAnswers, StateRead};
use crate::budget::Budget;
use crate::facts::Facts;
use crate::fault::Fault;
use crate::group_key::KeyedGroup;
use crate::rule::{
    AfterMatch, EventRule, GroupRule, GroupTimes, OnError, Rule, RuleAction, Targets,
};
use crate::set::RuleSet;

/// How many faults the details of a verdict list.
const LISTED_ERRORS_MAX: usize = 16;

/// What to do with an action. Nothing has happened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict of the last rule that matched; allow if none did.
    pub verdict: Verdict,
    /// The last rule that matched, whatever its verdict.
    pub matched_rule: Option<CompactString>,
    /// How many rules could not be evaluated or applied.
    pub rule_errors: u32,
    /// Details for the audit trail.
    pub details: Option<Box<VerdictDetails>>,
    /// What to do.
    pub effect: Effect,
    /// The tallies that rules read, without duplicates. The action is counted in them when it is settled.
    pub notes: Vec<Tally>,
}

/// What to do with an action.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every decision is the large variant: boxing it would add an allocation to each action"
)]
pub enum Effect {
    /// Deliver, once its gates are passed.
    Deliver(DeliveryPlan),
    /// Deliver nothing.
    #[allow(missing_docs)]
    Suppress { rule: CompactString },
    /// Deliver nothing now: the action joins a group.
    Group(Box<GroupPlan>),
    /// The action reports an event.
    Report(Box<ReportPlan>),
    /// Deliver nothing: a rule with `on_error: fail` could not be evaluated or applied.
    Fail(Failure),
}

impl Eq for Effect {}

/// How an action joins its group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPlan {
    /// The rule.
    pub rule: CompactString,
    /// The key of the group, as clients see it.
    pub group_key: CompactString,
    /// When the group is due.
    pub timing: GroupTiming,
    /// How many members its summary lists.
    pub size_max: u32,
    /// What is frozen into the group if this action opens it.
    pub settings: GroupSettings,
    /// What earlier rules have added: the changed payload, and the gates to pass first.
    pub plan: DeliveryPlan,
}

/// What a report does to its event.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportPlan {
    /// The rule.
    pub rule: CompactString,
    /// The name of the machine.
    pub machine: CompactString,
    /// The event.
    pub event: EventId,
    /// Its labels and fingerprint fields.
    pub values: Vec<EventValue>,
    /// The event as the state answered. `None`: there is none, or the state was asked for another one, because a rule
    /// has changed the payload since.
    pub present: Option<Arc<StoredEvent>>,
    /// What earlier rules have added: the changed payload, and the gates to pass first.
    pub plan: DeliveryPlan,
}

/// How to deliver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryPlan {
    /// The provider to use in place of the action's own.
    pub provider: Option<CompactString>,
    /// The payload to deliver in place of the action's own.
    pub payload: Option<Payload>,
    /// What it must get from the state first.
    pub gates: Gates,
}

/// What an action must get from the state before it is delivered, and the rules that require it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// The dedup keys, and at most [`QUOTAS_MAX`] quotas. The lease on an action's id does not come from rules.
    pub reservation: Reservation,
    /// The rules of the dedup keys, in their order.
    pub claim_rules: SmallVec<[CompactString; 1]>,
    /// The rules of the quotas, in their order, each with the provider it uses if its quota is full. A full quota with
    /// such a provider does not refuse the action.
    pub quota_rules: SmallVec<[(CompactString, Option<CompactString>); 1]>,
}

impl RuleSet {
    /// Whether any rule reads the state.
    pub fn asks(&self) -> bool {
        !self.reads().is_empty()
    }

    /// The reads of the rules that could match an action.
    pub fn ask(&self, action: &Action, now: Timestamp) -> Vec<StateRead> {
        let candidates = self.index.candidates(action);
        let rules = candidates.filter_map(|number| self.rule(number));
        let nothing = StateAnswers::default();
        let payload = &action.payload;
        self.ask_for(
            rules,
            &mut Facts::new(action, payload, self.fact_context(now, &nothing)),
        )
    }

    /// Decides about an action at the time `now`, with the answers to the reads from [`RuleSet::ask`].
    pub fn decide(&self, action: &Action, now: Timestamp, answers: &StateAnswers) -> Decision {
        let mut builder = DecisionBuilder::default();
        let mut candidates = self.index.candidates(action);
        let mut next = candidates.next();
        while next.is_some() {
            let payload = builder.plan.payload.clone();
            let payload = payload.as_ref().unwrap_or(&action.payload);
            let mut facts = Facts::new(action, payload, self.fact_context(now, answers));
            let step = loop {
                let Some(rule) = next.and_then(|number| self.rule(number)) else {
                    break AfterRule::End;
                };
                next = candidates.next();
                match builder.apply(rule, &mut facts) {
                    AfterRule::Next => {}
                    other => break other,
                }
            };
            builder.record_tallies(&facts);
            match step {
                AfterRule::Modified => {}
                AfterRule::Next | AfterRule::End => break,
            }
        }
        builder.into_decision()
    }

    /// The report that an action makes behind the rule `by`, which suppressed it because of an event. `None` if that
    /// rule reads no events, or if no later rule makes a report of it.
    pub fn inhibited_report(
        &self,
        action: &Action,
        now: Timestamp,
        answers: &StateAnswers,
        by: &str,
    ) -> Option<Box<ReportPlan>> {
        action.status.as_ref()?;
        let candidates = self.index.candidates(action);
        let mut rules = candidates.filter_map(|number| self.rule(number));
        let inhibiting = rules.find(|rule| rule.name == by)?;
        if !self.reads().are_of_events(&inhibiting.reads) {
            return None;
        }
        let mut facts = Facts::new(action, &action.payload, self.fact_context(now, answers));
        let mut builder = DecisionBuilder::default();
        let is_last = |rule| builder.apply(rule, &mut facts) == AfterRule::End;
        rules.any(is_last);
        match builder.ended {
            Some(Undelivered::Reported(report)) => Some(report),
            _ => None,
        }
    }
}

/// Collects what the rules say of an action, rule by rule.
#[derive(Default)]
pub(crate) struct DecisionBuilder {
    pub(crate) matched: Option<(Verdict, CompactString)>,
    pub(crate) rule_errors: u32,
    details: Option<Box<VerdictDetails>>,
    pub(crate) plan: DeliveryPlan,
    tallies: Vec<Tally>,
    /// The end of an action that is not delivered.
    ended: Option<Undelivered>,
}

/// An effect other than delivery. Smaller than [`Effect`], which every decision moves.
enum Undelivered {
    Suppressed(CompactString),
    Grouped(Box<GroupPlan>),
    Reported(Box<ReportPlan>),
    Failed(Failure),
}

impl From<Undelivered> for Effect {
    fn from(end: Undelivered) -> Self {
        match end {
            Undelivered::Suppressed(rule) => Self::Suppress { rule },
            Undelivered::Grouped(plan) => Self::Group(plan),
            Undelivered::Reported(report) => Self::Report(report),
            Undelivered::Failed(failure) => Self::Fail(failure),
        }
    }
}

/// How to continue after a rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterRule {
    /// With the next rule.
    Next,
    /// With the next rule, which sees the changed payload of the plan.
    Modified,
    /// Not at all: the action is decided.
    End,
}

impl DecisionBuilder {
    /// Applies a rule if it matches.
    pub(crate) fn apply(&mut self, rule: &Rule, facts: &mut Facts<'_>) -> AfterRule {
        facts.budget = Budget::default();
        let step = match rule.condition.holds(facts) {
            Ok(false) => return AfterRule::Next,
            Ok(true) => self.try_take(rule, facts),
            Err(fault) => Err(fault),
        };
        step.unwrap_or_else(|fault| self.fault(rule, &fault))
    }

    /// Keeps the tallies that conditions have read.
    pub(crate) fn record_tallies(&mut self, facts: &Facts<'_>) {
        for tally in facts.tallies() {
            if !self.tallies.contains(tally) {
                self.tallies.push(Tally::clone(tally));
            }
        }
    }

    /// Carries out the action of a rule that matched. A fault is left to the caller and has changed nothing.
    pub(crate) fn try_take(
        &mut self,
        rule: &Rule,
        facts: &mut Facts<'_>,
    ) -> Result<AfterRule, Fault> {
        let mut modified = false;
        match &rule.action {
            RuleAction::Allow => {}
            RuleAction::Deny(_) | RuleAction::Suppress(_) => {
                self.end(rule, rule.action.verdict());
                return Ok(AfterRule::End);
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
            RuleAction::Group(group) => {
                self.group(rule, group, facts);
                return Ok(AfterRule::End);
            }
            RuleAction::StateMachine(event) => {
                self.report(rule, event, facts);
                return Ok(AfterRule::End);
            }
        }
        self.matched(rule, rule.action.verdict());
        Ok(match (rule.after_match, modified) {
            (AfterMatch::Stop, _) => AfterRule::End,
            (AfterMatch::Continue, true) => AfterRule::Modified,
            (AfterMatch::Continue, false) => AfterRule::Next,
        })
    }

    /// Follows the rule's `on_error`.
    pub(crate) fn fault(&mut self, rule: &Rule, fault: &Fault) -> AfterRule {
        self.rule_errors += 1;
        let errors = &mut self.details.get_or_insert_default().errors;
        if errors.len() < LISTED_ERRORS_MAX {
            errors.push(RuleFailure {
                rule: rule.name.clone(),
                message: fault.to_string(),
            });
        }
        match rule.on_error {
            OnError::Skip => AfterRule::Next,
            OnError::Deny => {
                self.end(rule, Verdict::Deny);
                AfterRule::End
            }
            OnError::Fail => {
                self.matched(rule, rule.action.verdict());
                self.ended = Some(Undelivered::Failed(Failure {
                    code: FailureCode::ExecutionFailed,
                    message: format_compact!(
                        "rule \"{}\" could not be applied: {fault}",
                        rule.name
                    ),
                    retryable: false,
                    attempts: 0,
                }));
                AfterRule::End
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
            effect: match self.ended {
                Some(end) => end.into(),
                None => Effect::Deliver(self.plan),
            },
            notes: self.tallies,
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

    /// Ends with the action's group, and with what earlier rules have added.
    fn group(&mut self, rule: &Rule, group: &GroupRule, facts: &mut Facts<'_>) {
        let plan = std::mem::take(&mut self.plan);
        let key = KeyedGroup::of(&group.by, facts);
        let provider = group.provider.as_ref().or(plan.provider.as_ref());
        let provider = provider.unwrap_or(&facts.action().provider).clone();
        self.matched(rule, Verdict::Group);
        self.ended = Some(Undelivered::Grouped(Box::new(GroupPlan {
            rule: rule.name.clone(),
            group_key: key.hash.into(),
            timing: match &group.times {
                GroupTimes::Waits { wait, interval } => GroupTiming::Waits {
                    wait: *wait,
                    interval: *interval,
                },
                GroupTimes::Digest(times) => GroupTiming::At(times.next_after(facts.now())),
            },
            size_max: group.size_max,
            settings: GroupSettings {
                provider,
                labels: key.labels,
                template: group.template.clone(),
            },
            plan,
        })));
    }

    fn report(&mut self, rule: &Rule, event: &EventRule, facts: &mut Facts<'_>) {
        let action = facts.action();
        let id = EventId {
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            fingerprint: event.fields.fingerprint(facts),
        };
        let present = match facts.answers().get(event.read) {
            Some((_, Answer::Event(stored))) => stored.clone(),
            _ => None,
        };
        let report = ReportPlan {
            rule: rule.name.clone(),
            machine: event.machine.clone(),
            values: event.fields.values(facts),
            present: present.filter(|stored| stored.event == id),
            event: id,
            plan: std::mem::take(&mut self.plan),
        };
        self.matched(rule, Verdict::StateMachine);
        self.ended = Some(Undelivered::Reported(Box::new(report)));
    }

    /// Records the rule as the last that matched.
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
        self.ended = Some(Undelivered::Suppressed(rule.name.clone()));
    }
}

impl Targets {
    /// Chooses the same target for the same id, on every node.
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
