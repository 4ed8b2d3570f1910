//! Going through a list, of which nothing is read before it is its turn. What is passed over is charged, white space
//! included.

use std::rc::Rc;

use super::budget::Budget;
use super::value::{CelError, Value};
use crate::json;

/// The items of a list that are still to come.
pub(super) enum Items<'v> {
    Json { list: &'v [u8], at: usize },
    Made { items: Rc<[Value<'v>]>, at: usize },
}

impl<'v> Items<'v> {
    /// Of the JSON text of a list.
    pub(super) fn of_json(list: &'v [u8]) -> Self {
        Self::Json { list, at: 1 }
    }

    pub(super) fn of_made(items: Rc<[Value<'v>]>) -> Self {
        Self::Made { items, at: 0 }
    }

    pub(super) fn next(&mut self, budget: &mut Budget) -> Result<Option<Value<'v>>, CelError> {
        match self {
            Self::Json { list, at } => {
                let before = *at;
                let item = json::next_item(list, at);
                budget.read(at.saturating_sub(before))?;
                item.map(|json| Value::of_json(json, budget)).transpose()
            }
            Self::Made { items, at } => {
                budget.step()?;
                *at += 1;
                Ok(items.get(*at - 1).cloned())
            }
        }
    }
}
