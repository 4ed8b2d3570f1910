//! Values of CEL in canonical form, as keys of rules use them. The form is the same as for values from paths, so that
//! equal values yield equal keys wherever they come from.

use super::value::{List, Map, Value};
use crate::budget::Budget;
use crate::fault::CelError;
use crate::json;
use crate::number::Number;
use crate::value::FactValue;

impl Value<'_> {
    /// Appends the value as [`FactValue::write_canonical`] does.
    ///
    /// # Errors
    /// If it contains NaN, which equals nothing, or if the budget is used up.
    pub(super) fn write_canonical(
        &self,
        out: &mut Vec<u8>,
        budget: &mut Budget,
    ) -> Result<(), CelError> {
        let value = match self {
            Self::Null => FactValue::Nothing,
            Self::Bool(flag) => FactValue::Bool(*flag),
            Self::Text(text) => {
                budget.make(text.len())?;
                FactValue::Text(text.as_bytes())
            }
            Self::List(List::Json(json)) => {
                budget.make(json.len())?;
                FactValue::List(json)
            }
            Self::Map(Map::Json(json)) => {
                budget.make(json.len())?;
                FactValue::Object(json)
            }
            Self::List(list) => return list.write_canonical(out, budget),
            Self::Map(map) => return map.write_canonical(out, budget),
            Self::Int(_) | Self::Uint(_) | Self::Double(_) | Self::Long(_) => match self.number() {
                Some(Number::Float(float)) if float.is_nan() => return Err(CelError::NanKey),
                number => {
                    if let Self::Long(text) = self {
                        budget.make(text.len())?;
                    }
                    number.map_or(FactValue::Nothing, FactValue::Number)
                }
            },
        };
        value.write_canonical(out);
        Ok(())
    }
}

impl List<'_> {
    fn write_canonical(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), CelError> {
        let mut items = self.items();
        let mut first = true;
        out.push(b'[');
        while let Some(item) = items.next(budget)? {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            item.write_canonical(out, budget)?;
        }
        out.push(b']');
        Ok(())
    }
}

impl Map<'_> {
    /// Members with text keys first, as in an object, then the others; each group sorted.
    fn write_canonical(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), CelError> {
        let members = self.members(budget)?;
        let mut sorted = Vec::with_capacity(members.len());
        for (key, value) in members.iter() {
            let place = match key {
                Value::Text(text) => (false, text.as_bytes().to_vec()),
                other => {
                    let mut text = Vec::new();
                    other.write_canonical(&mut text, budget)?;
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
            value.write_canonical(out, budget)?;
        }
        out.push(b'}');
        Ok(())
    }
}
