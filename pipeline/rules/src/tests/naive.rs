//! The rule language once more, as plainly as it can be written: over a tree of JSON values, without an index, a
//! cache or a native form. What the property tests compare with.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

/// What came of it: verdict, last matched rule, provider, payload, and the keys asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Naive {
    pub(super) verdict: String,
    pub(super) matched: Option<String>,
    pub(super) suppressed: bool,
    pub(super) provider: Option<String>,
    pub(super) payload: Option<Value>,
    pub(super) claims: Vec<(String, String)>,
    pub(super) quotas: Vec<(String, String)>,
}

/// `rules` as in a file, `action` as on the wire.
pub(super) fn decide(rules: &[Value], action: &Value) -> Naive {
    let mut rules: Vec<&Value> = rules
        .iter()
        .filter(|rule| rule["enabled"] != false)
        .collect();
    rules.sort_by_key(|rule| rule["priority"].as_i64().unwrap_or(0));
    let mut action = action.clone();
    let mut naive = Naive {
        verdict: "allow".into(),
        ..Naive::default()
    };
    for rule in rules {
        if !holds(&rule["condition"], &action) {
            continue;
        }
        let (name, does) = (rule["name"].as_str().unwrap(), &rule["action"]);
        naive.verdict = does["type"].as_str().unwrap().into();
        naive.matched = Some(name.into());
        match naive.verdict.as_str() {
            "deny" | "suppress" => {
                naive.suppressed = true;
                break;
            }
            "reroute" => naive.provider = does["target_provider"].as_str().map(String::from),
            "modify" => {
                let changes = rendered(&does["changes"], &action);
                merge(&mut action["payload"], &changes);
                naive.payload = Some(action["payload"].clone());
            }
            "deduplicate" => {
                let key = key(&does["key"], &action);
                let own = || format!("id={}", action["id"].as_str().unwrap());
                naive.claims.push((name.into(), key.unwrap_or_else(own)));
            }
            "throttle" => {
                let key = match &does["key"] {
                    Value::Null => action["tenant"].as_str().unwrap().to_owned(),
                    listed => key(listed, &action).unwrap_or_default(),
                };
                naive.quotas.push((name.into(), key));
            }
            _ => {}
        }
        if rule["continue"] != true {
            break;
        }
    }
    naive
}

/// What a template brings in is wrapped, so that merging takes it as it is.
const AS_IT_IS: &str = "\u{0}as it is";

fn rendered(changes: &Value, action: &Value) -> Value {
    match changes {
        Value::String(text) => match text.strip_prefix("{{ ").and_then(|t| t.strip_suffix(" }}")) {
            Some(path) => json!({AS_IT_IS: at(path, action)}),
            None => changes.clone(),
        },
        Value::Object(map) => {
            let members = map.iter().map(|(k, v)| (k.clone(), rendered(v, action)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if let Some(value) = patch.get(AS_IT_IS) {
        *target = value.clone();
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let object = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            object.shift_remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn key(paths: &Value, action: &Value) -> Option<String> {
    let values: Vec<_> = paths
        .as_array()?
        .iter()
        .map(|p| at(p.as_str().unwrap(), action))
        .collect();
    if values.iter().all(Value::is_null) {
        return None;
    }
    let part = |value: &Value| {
        let text = match value {
            Value::Null => return "-".to_owned(),
            Value::String(text) => text.clone(),
            other => {
                let mut sorted = other.clone();
                sorted.sort_all_objects();
                sorted.to_string()
            }
        };
        format!("{}:{text}", text.len())
    };
    Some(values.iter().map(part).collect())
}

fn at(path: &str, action: &Value) -> Value {
    let path = path.strip_prefix("action.").unwrap_or(path);
    let step = |value: Option<Value>, key: &str| match value? {
        Value::Object(mut map) => map.shift_remove(key),
        Value::Array(mut list) => {
            let index: usize = key.parse().ok()?;
            (index < list.len()).then(|| list.swap_remove(index))
        }
        _ => None,
    };
    path.split('.')
        .fold(Some(action.clone()), step)
        .unwrap_or(Value::Null)
}

fn holds(condition: &Value, action: &Value) -> bool {
    let condition = condition.as_object().unwrap();
    condition.iter().all(|(key, operand)| match key.as_str() {
        "all" => operand.as_array().unwrap().iter().all(|c| holds(c, action)),
        "any" => operand.as_array().unwrap().iter().any(|c| holds(c, action)),
        "not" => !holds(operand, action),
        "field" => true,
        operator => test(
            operator,
            &at(condition["field"].as_str().unwrap(), action),
            operand,
        ),
    })
}

fn test(operator: &str, value: &Value, operand: &Value) -> bool {
    let ordering = order(value, operand);
    let texts = value.as_str().zip(operand.as_str());
    let list = || operand.as_array().unwrap().iter();
    match operator {
        "eq" => equal(value, operand),
        "ne" => !equal(value, operand),
        "gt" => ordering.is_some_and(Ordering::is_gt),
        "gte" => ordering.is_some_and(Ordering::is_ge),
        "lt" => ordering.is_some_and(Ordering::is_lt),
        "lte" => ordering.is_some_and(Ordering::is_le),
        "contains" => match value {
            Value::Array(items) => items.iter().any(|item| equal(item, operand)),
            _ => texts.is_some_and(|(text, part)| text.contains(part)),
        },
        "starts_with" => texts.is_some_and(|(text, part)| text.starts_with(part)),
        "ends_with" => texts.is_some_and(|(text, part)| text.ends_with(part)),
        "matches" => {
            texts.is_some_and(|(text, pattern)| regex::Regex::new(pattern).unwrap().is_match(text))
        }
        "in" => list().any(|literal| equal(value, literal)),
        "not_in" => !list().any(|literal| equal(value, literal)),
        "exists" => operand.as_bool().unwrap() != value.is_null(),
        other => panic!("{other}"),
    }
}

fn equal(value: &Value, literal: &Value) -> bool {
    match (value, literal) {
        (Value::Number(_), Value::Number(_)) => order(value, literal) == Some(Ordering::Equal),
        (Value::Array(_) | Value::Object(_), _) => false,
        _ => value == literal,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        (Value::Number(a), Value::Number(b)) => {
            let whole =
                |n: &serde_json::Number| n.as_i64().map(i128::from).or(n.as_u64().map(i128::from));
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
            }
        }
        _ => None,
    }
}
