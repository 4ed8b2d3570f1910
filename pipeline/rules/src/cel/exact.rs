//! Values of CEL as the keys of rules hold them: written as the values that paths lead to, so that equal values make
//! equal keys wherever they come from.

use super::budget::Budget;
use super::value::{CelError, List, Map, Value};
use crate::facts::Seen;
use crate::json;
use crate::key;
use crate::number::Number;

impl Value<'_> {
    /// Appends the value as [`key::write_exactly`] does.
    ///
    /// # Errors
    /// When there is NaN in it, which equals nothing, or when the budget is used up.
    pub(super) fn write_exactly(
        &self,
        out: &mut Vec<u8>,
        budget: &mut Budget,
    ) -> Result<(), CelError> {
        let seen = match self {
            Self::Null => Seen::Nothing,
            Self::Bool(flag) => Seen::Bool(*flag),
            Self::Text(text) => {
                budget.make(text.len())?;
                Seen::Text(text.as_bytes())
            }
            Self::List(List::Json(json)) => {
                budget.make(json.len())?;
                Seen::List(json)
            }
            Self::Map(Map::Json(json)) => {
                budget.make(json.len())?;
                Seen::Object(json)
            }
            Self::List(list) => return list.write_exactly(out, budget),
            Self::Map(map) => return map.write_exactly(out, budget),
            Self::Int(_) | Self::Uint(_) | Self::Double(_) => match self.number() {
                Some(Number::Float(float)) if float.is_nan() => return Err(CelError::NanKey),
                number => number.map_or(Seen::Nothing, Seen::Number),
            },
        };
        key::write_exactly(seen, out);
        Ok(())
    }
}

impl List<'_> {
    fn write_exactly(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), CelError> {
        let (mut items, mut first) = (self.items(), true);
        out.push(b'[');
        while let Some(item) = items.next(budget)? {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            item.write_exactly(out, budget)?;
        }
        out.push(b']');
        Ok(())
    }
}

impl Map<'_> {
    /// By the texts of its keys, as an object, and then by those that no object has.
    fn write_exactly(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), CelError> {
        let members = self.members(budget)?;
        let mut sorted = Vec::with_capacity(members.len());
        for (key, value) in members.iter() {
            let place = match key {
                Value::Text(text) => (false, text.as_bytes().to_vec()),
                other => {
                    let mut text = Vec::new();
                    other.write_exactly(&mut text, budget)?;
                    (true, text)
                }
            };
            budget.make(place.1.len())?;
            sorted.push((place, value));
        }
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        out.push(b'{');
        for (at, ((is_no_text, key), value)) in sorted.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match is_no_text {
                true => out.extend_from_slice(key),
                false => json::write_text(key, out),
            }
            out.push(b':');
            value.write_exactly(out, budget)?;
        }
        out.push(b'}');
        Ok(())
    }
}
