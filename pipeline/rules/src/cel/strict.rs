//! A native operator with the meaning of CEL: if the field is absent, or has a type that the operator does not accept,
//! that is an error, not a mismatch.

use crate::condition::{Limit, Operator, Test};
use crate::facts::Facts;
use crate::fault::{CelError, Fault};
use crate::value::FactValue;

#[derive(Debug)]
pub(crate) struct StrictTest(pub(crate) Test);

impl StrictTest {
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> Result<bool, Fault> {
        let Test { path, operator } = &self.0;
        if matches!(facts.read(path), FactValue::Nothing) && facts.is_absent(path) {
            return Err(CelError::NoField.into());
        }
        let value = facts.read(path);
        match (operator, value) {
            (Operator::Order(_, Limit::Number(_)), FactValue::Number(_))
            | (Operator::Order(_, Limit::Text(_)), FactValue::Text(_))
            | (Operator::StartsWith(_) | Operator::EndsWith(_), FactValue::Text(_))
            | (Operator::Contains(_) | Operator::Matches(_), FactValue::Text(_))
            | (Operator::Eq(_) | Operator::Ne(_) | Operator::In(_), _) => Ok(operator.holds(value)),
            _ => Err(CelError::NoOverload(name_of(operator)).into()),
        }
    }
}

/// The CEL name of an operator that does not accept every type.
fn name_of(operator: &Operator) -> &'static str {
    match operator {
        Operator::Contains(_) => "contains",
        Operator::StartsWith(_) => "startsWith",
        Operator::EndsWith(_) => "endsWith",
        Operator::Matches(_) => "matches",
        _ => "<",
    }
}
