//! Groups: an action joins one as a step of its reservation, and a due group becomes one summary. When a flush runs is
//! left to `scheduler.rs`; the state keeps the members.

mod flush;
mod running;
mod summary;
mod view;

pub(crate) use self::running::Flushes;

use acteon_core::ActionOutcome;
use acteon_core::ids::Ids;
use acteon_core::state::{Appended, GroupAppend, GroupKey, GroupMember, GroupTerms, Step};
use acteon_groups::Member;
use acteon_rules::{DeliveryPlan, GroupPlan};

use crate::job::{Job, idempotency_key};

/// What a job needs to join its group.
pub(crate) fn joining(job: &Job, group: GroupPlan) -> DeliveryPlan {
    let delivery = &job.delivery;
    let action = &delivery.action;
    let member = Member {
        action: action.clone(),
        received_at: delivery.received_at,
        source: delivery.position.to_string().into(),
        caller: delivery.caller.clone(),
    };
    let append = GroupAppend {
        key: GroupKey {
            namespace: action.namespace.clone(),
            tenant: action.tenant.clone(),
            rule: group.rule,
            key: group.group_key,
        },
        new_id: Ids::at(delivery.received_at).text(),
        terms: GroupTerms {
            timing: group.timing,
            size_max: group.size_max,
            settings: group.settings.encode().into(),
        },
        member: GroupMember {
            id: idempotency_key(delivery).into(),
            body: member.encode().into(),
        },
    };
    let mut plan = group.plan;
    plan.gates.reservation.step = Some(Step::Append(Box::new(append)));
    plan
}

/// The outcome of an action that has joined a group.
pub(crate) fn grouped(joined: &Appended) -> ActionOutcome {
    ActionOutcome::Grouped {
        group_id: joined.group_id.clone(),
        group_size: joined.size,
        notify_at: joined.due_at,
    }
}
