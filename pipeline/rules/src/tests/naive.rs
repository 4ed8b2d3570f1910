//! A naive model of the rule language for property tests: over a tree of JSON values, without an index, a cache or
//! native conditions.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

/// The decision: verdict, last matched rule, provider, payload, required keys, and recorded tallies.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Naive {
    pub(super) verdict: String,
    pub(super) matched: Option<String>,
    pub(super) suppressed: bool,
    pub(super) provider: Option<String>,
    pub(super) payload: Option<Value>,
    pub(super) claims: Vec<(String, String)>,
    pub(super) quotas: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
}

/// The input of a condition, and its effects.
struct World {
    action: Value,
    /// As received.
    came: Value,
    /// `<within>:<key>` of each recorded tally.
    notes: Vec<String>,
}

/// The pretended count of a name.
pub(super) fn pretended_count(name: &str) -> u64 {
    name.len() as u64 % 4
}

/// The pretended state of the event with a name.
pub(super) fn pretended_state(name: &str) -> Option<&'static str> {
    [None, Some("a"), Some("b")][name.len() % 3]
}

/// Whether an event of a type is pretended to be active.
pub(super) fn pretended_active(event_type: &str, value: Option<&str>) -> bool {
    let is_odd = (event_type.len() + value.map_or(0, str::len)) % 2 == 1;
    is_odd && value != Some("")
}

/// `rules` as in a file, `action` as on the wire.
pub(super) fn decide(rules: &[Value], action: &Value) -> Naive {
    let mut rules: Vec<&Value> = rules
        .iter()
        .filter(|rule| rule["enabled"] != false)
        .collect();
    rules.sort_by_key(|rule| rule["priority"].as_i64().unwrap_or(0));
    let mut world = World {
        action: action.clone(),
        came: action.clone(),
        notes: Vec::new(),
    };
    let mut naive = Naive {
        verdict: "allow".into(),
        ..Naive::default()
    };
    for rule in rules {
        if !holds(&rule["condition"], &mut world) {
            continue;
        }
        let action = &mut world.action;
        let name = rule["name"].as_str().unwrap();
        let does = &rule["action"];
        naive.verdict = does["type"].as_str().unwrap().into();
        naive.matched = Some(name.into());
        match naive.verdict.as_str() {
            "deny" | "suppress" => {
                naive.suppressed = true;
                break;
            }
            "reroute" => naive.provider = does["target_provider"].as_str().map(String::from),
            "modify" => {
                let changes = rendered(&does["changes"], action);
                merge(&mut action["payload"], &changes);
                naive.payload = Some(action["payload"].clone());
            }
            "deduplicate" => {
                let key = key(&does["key"], action);
                let own = || format!("id={}", action["id"].as_str().unwrap());
                naive.claims.push((name.into(), key.unwrap_or_else(own)));
            }
            "throttle" => {
                let key = match &does["key"] {
                    Value::Null => format!("tenant={}", action["tenant"].as_str().unwrap()),
                    listed => values(listed, action).1,
                };
                naive.quotas.push((name.into(), key));
            }
            _ => {}
        }
        if rule["continue"] != true {
            break;
        }
    }
    naive.notes = world.notes;
    naive
}

/// Values from templates are wrapped, so that merging inserts them unchanged.
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
    let (are_given, values) = values(paths, action);
    are_given.then_some(values)
}

/// Whether one of the values is not null, and all values.
fn values(paths: &Value, action: &Value) -> (bool, String) {
    let paths = paths.as_array().into_iter().flatten();
    let values: Vec<_> = paths.map(|p| at(p.as_str().unwrap(), action)).collect();
    let are_given = !values.is_empty() && !values.iter().all(Value::is_null);
    (are_given, exact(&Value::Array(values)))
}

/// The value in the form of keys.
fn exact(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            if float.fract() == 0.0 && float.abs() < 2f64.powi(64) {
                (float as i128).to_string()
            } else {
                format!("{float:e}")
            }
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(exact).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), exact(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// The value in the form of templates.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => {
            let mut sorted = other.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
    }
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

fn holds(condition: &Value, world: &mut World) -> bool {
    let condition = condition.as_object().unwrap();
    condition.iter().all(|(key, operand)| match key.as_str() {
        "all" => operand.as_array().unwrap().iter().all(|c| holds(c, world)),
        "any" => operand.as_array().unwrap().iter().any(|c| holds(c, world)),
        "not" => !holds(operand, world),
        "state_seen" => subject(condition, world) != 0,
        "call" if operand != "get_event_state" => subject(condition, world) == true,
        "field" | "state_counter" | "within_seconds" | "call" | "args" => true,
        operator => test(operator, &subject(condition, world), operand),
    })
}

/// The value that the operators in a mapping test.
fn subject(condition: &Map<String, Value>, world: &mut World) -> Value {
    if let Some(path) = condition.get("field") {
        return at(path.as_str().unwrap(), &world.action);
    }
    if let Some(call) = condition.get("call") {
        let given = condition["args"].as_array().unwrap();
        let argument = |at: usize, action| given.get(at).map(|text| argument(text, action));
        let first = argument(0, &world.came).unwrap();
        return match call.as_str().unwrap() {
            "get_event_state" => pretended_state(&first).into(),
            "event_in_state" => {
                let expected = argument(1, &world.action);
                (pretended_state(&first) == expected.as_deref()).into()
            }
            _ => {
                let value = argument(1, &world.came);
                (!first.is_empty() && pretended_active(&first, value.as_deref())).into()
            }
        };
    }
    let key = condition
        .get("state_seen")
        .or(condition.get("state_counter"));
    let key = filled(key.unwrap().as_str().unwrap(), &world.came);
    let within = condition
        .get("within_seconds")
        .unwrap_or(&json!(86_400))
        .clone();
    let note = format!("{within}:{key}");
    if !world.notes.contains(&note) {
        world.notes.push(note);
    }
    pretended_count(&key).into()
}

fn argument(given: &Value, action: &Value) -> String {
    match given.as_str() {
        Some(path) if path.starts_with("action.") => text(&at(path, action)),
        _ => text(given),
    }
}

/// The text with its templates expanded.
fn filled(template: &str, action: &Value) -> String {
    let mut parts = template.split("{{ ");
    let mut all = parts.next().unwrap().to_owned();
    for part in parts {
        let (path, rest) = part.split_once(" }}").unwrap();
        all += &text(&at(path, action));
        all += rest;
    }
    all
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
