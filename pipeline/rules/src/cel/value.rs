//! Values of CEL over the raw JSON of a payload. Values in the payload are borrowed, values created by an expression
//! are shared, and nothing is read before it is needed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::rc::Rc;

use acteon_core::Labels;
use hashbrown::HashMap;

use crate::budget::Budget;
use crate::fault::{CEL_DEPTH_MAX, CelError};
use crate::json;
use crate::number::Number;

/// The bytes charged for each item of a created list.
pub(super) const ITEM_BYTES: usize = 32;
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// The text of a number that the types above do not hold. It is compared with all its digits. Arithmetic takes it
    /// for a double if it is written as one, and fails otherwise.
    Long(&'v str),
    Text(Text<'v>),
    List(List<'v>),
    Map(Map<'v>),
}

#[derive(Clone, Debug)]
pub(super) enum Text<'v> {
    Borrowed(&'v str),
    Made(Rc<str>),
}

#[derive(Clone, Debug)]
pub(super) enum List<'v> {
    Json(&'v [u8]),
    /// With its depth.
    Made(Rc<[Value<'v>]>, u8),
}

#[derive(Clone, Debug)]
pub(super) enum Map<'v> {
    Json(&'v [u8]),
    Labels(&'v Labels),
    /// With its depth.
    Made(Rc<[MapMember<'v>]>, u8),
}

pub(super) type MapMember<'v> = (Value<'v>, Value<'v>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'v> From<Cow<'v, [u8]>> for Text<'v> {
    fn from(bytes: Cow<'v, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Borrowed(text),
                Err(_) => Self::Made(String::from_utf8_lossy(bytes).into()),
            },
            Cow::Owned(bytes) => Self::Made(String::from_utf8_lossy(&bytes).into()),
        }
    }
}

impl<'v> Value<'v> {
    /// The value of a JSON text. A string costs its length.
    pub(super) fn of_json(json: &'v [u8], budget: &mut Budget) -> Result<Self, CelError> {
        Ok(match json.first() {
            Some(b'"') => {
                let content = json::unescaped(json::content(json));
                match content {
                    Cow::Borrowed(_) => budget.read(json.len())?,
                    Cow::Owned(_) => budget.make(json.len())?,
                }
                Self::Text(content.into())
            }
            Some(b'[') => Self::List(List::Json(json)),
            Some(b'{') => Self::Map(Map::Json(json)),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => {
                let number = Number::parse(json);
                if let Some(Number::Long(text)) = number {
                    budget.read(text.len())?;
                }
                number.map_or(Self::Null, Self::from)
            }
        })
    }

    /// The depth of a list or map of these values.
    fn depth_over<'i>(values: impl Iterator<Item = &'i Self>) -> Result<u8, CelError>
    where
        'v: 'i,
    {
        let depth = |value: &Self| match value {
            Self::List(List::Made(_, depth)) | Self::Map(Map::Made(_, depth)) => *depth,
            _ => 0,
        };
        let deepest = values.map(depth).max().unwrap_or_default();
        let depth = deepest.checked_add(1);
        depth
            .filter(|depth| *depth <= CEL_DEPTH_MAX)
            .ok_or(CelError::TooDeep)
    }

    pub(super) fn number(&self) -> Option<Number<'v>> {
        match self {
            Self::Int(value) => Some((*value).into()),
            Self::Uint(value) => Some(Number::Unsigned(*value)),
            Self::Double(value) => Some(Number::Float(*value)),
            Self::Long(text) => Some(Number::Long(text)),
            _ => None,
        }
    }

    /// Charges what comparing two numbers reads of long ones.
    fn charge_digits(&self, other: &Self, budget: &mut Budget) -> Result<(), CelError> {
        let digits = |value: &Self| match value {
            Self::Long(text) => text.len(),
            _ => 0,
        };
        match digits(self) + digits(other) {
            0 => Ok(()),
            digits => budget.read(digits),
        }
    }

    /// As an operand of arithmetic.
    ///
    /// # Errors
    /// If it is an integer beyond 64 bits.
    pub(super) fn operand(&self) -> Result<Cow<'_, Self>, CelError> {
        match self {
            Self::Long(text) => {
                let number = Number::Long(text);
                match number.is_integer() {
                    true => Err(CelError::Overflow),
                    false => Ok(Cow::Owned(Self::Double(number.to_float()))),
                }
            }
            other => Ok(Cow::Borrowed(other)),
        }
    }

    /// Values of different types are never equal, but numbers of different types may be.
    pub(super) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, CelError> {
        budget.step()?;
        match (self, other) {
            (Self::Null, Self::Null) => Ok(true),
            (Self::Bool(a), Self::Bool(b)) => Ok(a == b),
            (Self::Text(a), Self::Text(b)) => {
                budget.read(a.len().min(b.len()))?;
                Ok(**a == **b)
            }
            (Self::List(a), Self::List(b)) => a.equals(b, budget),
            (Self::Map(a), Self::Map(b)) => a.equals(b, budget),
            _ => {
                self.charge_digits(other, budget)?;
                let numbers = self.number().zip(other.number());
                Ok(numbers.is_some_and(|(a, b)| a.equals(b)))
            }
        }
    }

    /// Compares two numbers, texts or booleans. `None` if one is NaN.
    pub(super) fn compare(
        &self,
        other: &Self,
        budget: &mut Budget,
    ) -> Result<Option<Ordering>, CelError> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(Some(a.cmp(b))),
            (Self::Text(a), Self::Text(b)) => {
                budget.read(a.len().min(b.len()))?;
                Ok(Some((**a).cmp(b)))
            }
            _ => match self.number().zip(other.number()) {
                Some((a, b)) => {
                    self.charge_digits(other, budget)?;
                    Ok(a.compare(b))
                }
                None => Err(CelError::NoOverload("<")),
            },
        }
    }
}

impl<'v> From<Number<'v>> for Value<'v> {
    fn from(number: Number<'v>) -> Self {
        match number {
            Number::Signed(value) => Self::Int(value),
            Number::Unsigned(value) => i64::try_from(value).map_or(Self::Uint(value), Self::Int),
            Number::Float(value) => Self::Double(value),
            Number::Long(text) => Self::Long(text),
        }
    }
}

impl<'v> List<'v> {
    pub(super) fn made(items: Vec<Value<'v>>) -> Result<Self, CelError> {
        let depth = Value::depth_over(items.iter())?;
        Ok(Self::Made(items.into(), depth))
    }

    pub(super) fn size(&self, budget: &mut Budget) -> Result<usize, CelError> {
        match self {
            Self::Json(json) => {
                budget.read(json.len())?;
                Ok(json::items(json).count())
            }
            Self::Made(items, _) => Ok(items.len()),
        }
    }

    pub(super) fn get(&self, index: usize, budget: &mut Budget) -> Result<Value<'v>, CelError> {
        match self {
            Self::Json(json) => {
                budget.read(json.len())?;
                let item = json::items(json).nth(index).ok_or(CelError::NoItem)?;
                Value::of_json(item, budget)
            }
            Self::Made(items, _) => items.get(index).cloned().ok_or(CelError::NoItem),
        }
    }

    /// Iterates over the items, reading each when it is reached.
    pub(super) fn items(&self) -> Items<'v> {
        match self {
            Self::Json(list) => Items::Json { list, at: 1 },
            Self::Made(items, _) => Items::Made {
                items: items.clone(),
                at: 0,
            },
        }
    }

    pub(super) fn contains(
        &self,
        wanted: &Value<'v>,
        budget: &mut Budget,
    ) -> Result<bool, CelError> {
        let mut items = self.items();
        while let Some(item) = items.next(budget)? {
            if item.equals(wanted, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, CelError> {
        let mut own = self.items();
        let mut others = other.items();
        loop {
            match (own.next(budget)?, others.next(budget)?) {
                (Some(item), Some(other)) if item.equals(&other, budget)? => {}
                (None, None) => return Ok(true),
                _ => return Ok(false),
            }
        }
    }
}

/// The remaining items of a list. Skipped text is charged, including white space.
pub(super) enum Items<'v> {
    Json { list: &'v [u8], at: usize },
    Made { items: Rc<[Value<'v>]>, at: usize },
}

impl<'v> Items<'v> {
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

impl<'v> Map<'v> {
    pub(super) fn made(members: Vec<MapMember<'v>>) -> Result<Self, CelError> {
        let depth = Value::depth_over(members.iter().map(|(_, value)| value))?;
        Ok(Self::Made(members.into(), depth))
    }

    /// The keys, without duplicates.
    pub(super) fn keys(&self, budget: &mut Budget) -> Result<List<'v>, CelError> {
        let members = self.members(budget)?;
        budget.make(members.len() * ITEM_BYTES)?;
        let keys = members.iter().map(|(key, _)| key.clone());
        List::made(keys.collect())
    }

    /// The members; if a key occurs twice, the last member wins.
    pub(super) fn members(&self, budget: &mut Budget) -> Result<Rc<[MapMember<'v>]>, CelError> {
        let key = |key: &'v str| Value::Text(Text::Borrowed(key));
        match self {
            Self::Made(members, _) => Ok(members.clone()),
            Self::Labels(labels) => {
                let pairs: Vec<_> = labels
                    .iter()
                    .map(|(name, value)| (key(name), Value::Text(Text::Borrowed(value))))
                    .collect();
                budget.make(pairs.len() * 2 * ITEM_BYTES)?;
                Ok(pairs.into())
            }
            Self::Json(json) => {
                budget.read(json.len())?;
                let mut places = HashMap::new();
                let mut members = Vec::new();
                for (name, value) in json::members(json) {
                    budget.make(2 * ITEM_BYTES + name.len())?;
                    let value = Value::of_json(value, budget)?;
                    match places.get(name.as_ref()) {
                        Some(place) => {
                            let place: &usize = place;
                            let (_, known): &mut MapMember<'v> = &mut members[*place];
                            *known = value;
                        }
                        None => {
                            places.insert(name.to_vec(), members.len());
                            members.push((Value::Text(name.into()), value));
                        }
                    }
                }
                Ok(members.into())
            }
        }
    }

    pub(super) fn get(
        &self,
        wanted: &Value<'v>,
        budget: &mut Budget,
    ) -> Result<Option<Value<'v>>, CelError> {
        if let Value::Null | Value::List(_) | Value::Map(_) = wanted {
            return Err(CelError::NotAKey);
        }
        match (self, wanted) {
            (Self::Json(json), Value::Text(name)) => {
                budget.read(json.len())?;
                let named = json::members(json).filter(|(key, _)| key.as_ref() == name.as_bytes());
                let found = named.last().map(|(_, value)| value);
                found.map(|json| Value::of_json(json, budget)).transpose()
            }
            (Self::Labels(labels), Value::Text(name)) => {
                budget.step()?;
                let value = labels.get(name);
                Ok(value.map(|value| Value::Text(Text::Borrowed(value))))
            }
            (Self::Json(_) | Self::Labels(_), _) => Ok(None),
            (Self::Made(members, _), _) => {
                for (key, value) in members.iter() {
                    if key.equals(wanted, budget)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
        }
    }

    fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, CelError> {
        let own = self.members(budget)?;
        let others = other.members(budget)?;
        if own.len() != others.len() {
            return Ok(false);
        }
        let others = Self::Made(others, 0);
        for (key, value) in own.iter() {
            let same = match others.get(key, budget)? {
                Some(other) => value.equals(&other, budget)?,
                None => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
