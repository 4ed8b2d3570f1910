//! From the tree of a file to the action `group` of a rule.

use std::time::Duration;

use acteon_groups::{DAYS_MAX, DigestTimes, SummaryTemplate, TIMES_MAX};
use jiff::civil::{Time, Weekday};
use serde_json::Value;

use super::action::ActionReader;
use super::{GroupRule, GroupTimes, RuleAction, UnlessCondition};
use crate::condition::ConditionReader;
use crate::fields::{Fields, expected};
use crate::moment::WEEKDAYS;
use crate::problems::{one_of, unknown};
use crate::yaml::{Data, Node};

/// The longest wait and interval: a week.
pub(crate) const GROUP_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;
pub(crate) const GROUP_WAIT: Duration = Duration::from_secs(30);
pub(crate) const GROUP_INTERVAL: Duration = Duration::from_secs(300);
pub(crate) const GROUP_SIZE: u32 = 100;
pub(crate) const GROUP_SIZE_MAX: i64 = 10_000;
/// How deep a template may nest.
const TEMPLATE_DEPTH_MAX: usize = 32;
/// The parameters that `flush_at` takes the place of.
const WAITS: [&str; 2] = ["group_wait_seconds", "group_interval_seconds"];

impl ActionReader<'_> {
    pub(super) fn group(&mut self, fields: &Fields<'_>) -> Option<RuleAction> {
        let by = fields.required("group_by", self.problems);
        let by = by.and_then(|node| self.paths(node, "a list of paths"));
        let times = self.times(fields);
        let size_max = match fields.get("max_group_size") {
            None => Some(GROUP_SIZE),
            Some(node) => node
                .integer(1, GROUP_SIZE_MAX, self.problems)
                .and_then(|size| u32::try_from(size).ok()),
        };
        let unless = self.given(fields, "unless", Self::unless);
        let provider = self.given(fields, "provider", Self::provider);
        let template = self.given(fields, "template", |reader, node| {
            Some(SummaryTemplate::new(reader.template(node, 1)?))
        });
        Some(RuleAction::Group(Box::new(GroupRule {
            by: by?,
            times: times?,
            size_max: size_max?,
            unless: unless?,
            provider: provider?,
            template: template?,
        })))
    }

    /// An optional parameter: an inner `None` if it is not given, an outer one if it is wrong.
    fn given<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<Option<T>> {
        match fields.get(name) {
            None => Some(None),
            Some(node) => read(self, node).map(Some),
        }
    }

    fn times(&mut self, fields: &Fields<'_>) -> Option<GroupTimes> {
        let Some(flush_at) = fields.get("flush_at") else {
            if let Some(days) = fields.get("days") {
                self.problems.at(days.place, "`days` needs `flush_at`");
            }
            let wait = self.wait(fields, "group_wait_seconds", 0, GROUP_WAIT);
            let interval = self.wait(fields, "group_interval_seconds", 1, GROUP_INTERVAL);
            let has_days = fields.get("days").is_some();
            return (!has_days).then_some(GroupTimes::Waits {
                wait: wait?,
                interval: interval?,
            });
        };
        let waits = WAITS
            .into_iter()
            .filter_map(|name| Some((name, fields.get(name)?)));
        let waits: Vec<_> = waits.collect();
        for (name, node) in &waits {
            let message = format!("`{name}` cannot be combined with `flush_at`");
            self.problems.at(node.place, message);
        }
        let times = self.list_of(flush_at, "times", TIMES_MAX, Self::time_of_day);
        let days = match fields.get("days") {
            None => Some(Vec::new()),
            Some(node) => self.list_of(node, "days", DAYS_MAX, Self::day),
        };
        let zone = self.tables.paths.zones.get(self.zone as usize).cloned();
        let digest = DigestTimes::new(times?, days?, zone?);
        waits.is_empty().then_some(GroupTimes::Digest(digest))
    }

    fn wait(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        least: i64,
        default: Duration,
    ) -> Option<Duration> {
        let Some(node) = fields.get(name) else {
            return Some(default);
        };
        let seconds = node.integer(least, GROUP_SECONDS_MAX, self.problems)?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    fn list_of<T>(
        &mut self,
        node: &Node,
        what: &str,
        most: usize,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = node.list(&format!("a list of {what}"), self.problems)?;
        if items.is_empty() || items.len() > most {
            let message = format!("expected 1 to {most} {what}, found {}", items.len());
            self.problems.at(node.place, message);
            return None;
        }
        let read: Vec<_> = items.iter().map(|item| read(self, item)).collect();
        read.into_iter().collect()
    }

    fn time_of_day(&mut self, node: &Node) -> Option<Time> {
        let what = "a time of day, such as `\"09:00\"`";
        let text = node.text(what, self.problems)?;
        let is_minute = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
        match text.parse::<Time>() {
            Ok(time) if is_minute => Some(time),
            _ => expected(node, what, self.problems),
        }
    }

    fn day(&mut self, node: &Node) -> Option<Weekday> {
        let text = node.text(&one_of(&WEEKDAYS), self.problems)?;
        let found = WEEKDAYS.iter().position(|day| *day == text);
        if found.is_none() {
            let message = unknown("day", text, &WEEKDAYS);
            self.problems.at(node.place, message);
        }
        let from_monday = i8::try_from(found?).ok()?;
        Weekday::from_monday_zero_offset(from_monday).ok()
    }

    /// The condition, with its own reads: the rule asks the state for them only at the flush.
    fn unless(&mut self, node: &Node) -> Option<UnlessCondition> {
        let of_rule = self.tables.reads.take_of_rule();
        let condition = ConditionReader {
            tables: self.tables,
            zone: self.zone,
            problems: self.problems,
        }
        .read(node);
        let reads = self.tables.reads.take_of_rule();
        self.tables.reads.restore(of_rule);
        Some(UnlessCondition {
            condition: condition?,
            reads,
        })
    }

    fn template(&mut self, node: &Node, depth: usize) -> Option<Value> {
        if depth > TEMPLATE_DEPTH_MAX {
            let message = format!("the template is nested deeper than {TEMPLATE_DEPTH_MAX} levels");
            self.problems.at(node.place, message);
            return None;
        }
        match &node.data {
            Data::Null => Some(Value::Null),
            Data::Bool(flag) => Some((*flag).into()),
            Data::Number(number) => match number.get().to_json() {
                Value::Null => expected(node, "a number that JSON can hold", self.problems),
                number => Some(number),
            },
            Data::Text(text) => match SummaryTemplate::check(text) {
                Ok(()) => Some(text.as_str().into()),
                Err(problem) => {
                    self.problems.at(node.place, problem.to_string());
                    None
                }
            },
            Data::List(items) => {
                let read: Vec<_> = items
                    .iter()
                    .map(|item| self.template(item, depth + 1))
                    .collect();
                read.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            Data::Map(entries) => {
                let member = |(key, node): &(crate::yaml::MappingKey, Node)| {
                    Some((key.text.clone(), self.template(node, depth + 1)?))
                };
                let read: Vec<_> = entries.iter().map(member).collect();
                read.into_iter().collect::<Option<_>>().map(Value::Object)
            }
        }
    }
}
