//! The actions that benches offer: about 1 KiB each, some duplicates by key, or with an id and of any size.

use serde_json::json;

/// One in this many actions repeats the key of an earlier one.
pub(crate) const DUPLICATE_EVERY: u64 = 10;

/// The JSON of action `number`. It has no id: the dedup rule handles a broker's redelivery.
pub(crate) fn action(number: u64) -> Vec<u8> {
    let key = if number % DUPLICATE_EVERY == DUPLICATE_EVERY - 1 {
        number - (DUPLICATE_EVERY - 1)
    } else {
        number
    };
    let action = json!({
        "namespace": "shop",
        "tenant": format!("tenant-{}", key % 50),
        "provider": "discard",
        "action_type": format!("order_{}", number % 20),
        "dedup_key": format!("order-{key}"),
        "metadata": {"env": "prod", "region": "eu-central-1"},
        "payload": {
            "to": "customer@example.com",
            "subject": format!("Your order {number} is on its way"),
            "amount": number % 500,
            "items": [
                {"sku": "A-1001", "name": "A lamp for the desk", "quantity": 1, "price": 39.9},
                {"sku": "B-2002", "name": "A chair that turns", "quantity": 2, "price": 129.0},
            ],
            "body": "x".repeat(550),
            "tags": ["mail", "shipping"],
            "urgent": false,
        },
    });
    action.to_string().into_bytes()
}

/// The JSON of an action for `provider` with its number as id. It is about `bytes` long, or as short as possible.
pub(crate) fn action_for(provider: &str, number: u64, bytes: usize) -> Vec<u8> {
    let start = format!(
        r#"{{"id":"{number}","namespace":"shop","tenant":"tenant-{}","provider":"{provider}","action_type":"order_{}","payload":{{"number":{number},"body":""#,
        number % 50,
        number % 20
    );
    let mut action = start.into_bytes();
    action.resize(action.len().max(bytes.saturating_sub(END.len())), b'x');
    action.extend_from_slice(END);
    action
}

const END: &[u8] = br#""}}"#;

/// How many different keys the first `count` actions have.
pub(crate) fn unique_keys(count: u64) -> u64 {
    count - count / DUPLICATE_EVERY
}

/// Rules for those actions: conditions on indexed fields, labels and payload, and one dedup rule that all actions
/// reach.
pub(crate) fn rules(count: usize) -> String {
    let mut text = String::from("rules:\n");
    for number in 1..count {
        let condition = match number % 4 {
            0 => format!("{{ field: action.action_type, eq: never_{number} }}"),
            1 => format!("{{ field: action.payload.amount, gt: {} }}", 1000 + number),
            2 => "{ field: action.metadata.env, in: [test, stage] }".to_owned(),
            _ => format!("{{ field: action.payload.subject, starts_with: \"Reminder {number}\" }}"),
        };
        text += &format!(
            "  - {{ name: rule-{number}, priority: {number}, condition: {condition}, action: {{ type: suppress }} }}\n"
        );
    }
    text + "  - { name: once, priority: 100000, condition: { all: [] }, action: { type: deduplicate, ttl_seconds: 3600 } }\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_about_a_kibibyte() {
        let length = action(123_456).len();
        assert!((950..1100).contains(&length), "{length} bytes");
    }

    #[test]
    fn an_action_of_any_size_is_of_that_size() {
        for bytes in [200, 1024, 2_000_000] {
            let action = action_for("hung", 123_456, bytes);
            assert_eq!(action.len(), bytes);
            let action: serde_json::Value = serde_json::from_slice(&action).unwrap();
            assert_eq!(action["id"], "123456");
        }
    }

    #[test]
    fn one_in_ten_keys_repeats_an_earlier_one() {
        let keys = (0..1000).map(|number| {
            let action: serde_json::Value = serde_json::from_slice(&action(number)).unwrap();
            action["dedup_key"].as_str().unwrap().to_owned()
        });
        let unique = keys.collect::<std::collections::HashSet<_>>().len() as u64;
        assert_eq!(unique, unique_keys(1000));
    }
}
