//! A native operator with the meaning of CEL: a field that is absent, or of a type that the operator does not take, is an
//! error and no mismatch.

use super::value::CelError;
use crate::condition::{Limit, Operator, Test};
use crate::facts::{Facts, Seen};
use crate::fault::Fault;

#[derive(Debug)]
pub(crate) struct StrictTest(pub(crate) Test);

impl StrictTest {
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool, Fault> {
        let Test { path, operator } = &self.0;
        if matches!(facts.read(path), Seen::Nothing) && facts.is_absent(path) {
            return Err(CelError::NoField.into());
        }
        let seen = facts.read(path);
        match (operator, seen) {
            (Operator::Order(_, Limit::Number(_)), Seen::Number(_))
            | (Operator::Order(_, Limit::Text(_)), Seen::Text(_))
            | (Operator::StartsWith(_) | Operator::EndsWith(_), Seen::Text(_))
            | (Operator::Contains(_) | Operator::Matches(_), Seen::Text(_))
            | (Operator::Eq(_) | Operator::Ne(_) | Operator::In(_), _) => Ok(operator.holds(seen)),
            _ => Err(CelError::NoOverload(name_of(operator)).into()),
        }
    }
}

/// The name in CEL of an operator that does not take every type.
fn name_of(operator: &Operator) -> &'static str {
    match operator {
        Operator::Contains(_) => "contains",
        Operator::StartsWith(_) => "startsWith",
        Operator::EndsWith(_) => "endsWith",
        Operator::Matches(_) => "matches",
        _ => "<",
    }
}
