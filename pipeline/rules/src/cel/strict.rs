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
        let takes = match (operator, seen) {
            (Operator::Order(_, Limit::Number(_)), Seen::Number(_))
            | (Operator::Order(_, Limit::Text(_)), Seen::Text(_))
            | (Operator::StartsWith(_) | Operator::EndsWith(_), Seen::Text(_))
            | (Operator::Contains(_) | Operator::Matches(_), Seen::Text(_))
            | (Operator::Eq(_) | Operator::Ne(_) | Operator::In(_), _) => true,
            (Operator::Order(..), _) => return Err(CelError::NoOverload("<").into()),
            _ => false,
        };
        if !takes {
            return Err(CelError::NoOverload("this function").into());
        }
        Ok(operator.holds(seen))
    }
}
