//! Messages beyond the limits of Slack arrive, cut with a note.

use super::*;

fn blocks(count: usize) -> Vec<Value> {
    let block = |number| {
        let text = format!("line {number}");
        json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    };
    (0..count).map(block).collect()
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text})
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

#[tokio::test]
async fn the_blocks_after_the_49th_are_replaced_by_a_note() {
    let fits = posted(json!({}), &json!({"blocks": blocks(50)})).await;
    assert_eq!(fits["blocks"], json!(blocks(50)));
    let long = posted(json!({}), &json!({"blocks": blocks(120)})).await;
    let shown = long["blocks"].as_array().unwrap();
    assert_eq!(shown.len(), 50);
    assert_eq!(shown[..49], blocks(49));
    assert_eq!(shown[49]["elements"][0]["text"], "… [71 more cut]");
}

#[tokio::test]
async fn long_texts_are_cut_by_the_limit_of_their_place() {
    let long = "ä".repeat(50_000);
    let payload = json!({
        "text": long,
        "blocks": [
            {"type": "header", "text": plain(&long)},
            {"type": "section", "text": mrkdwn(&long), "fields": [mrkdwn(&long)]},
            {"type": "context", "elements": [plain(&long)]},
            {"type": "actions", "elements": [{"type": "button", "text": plain(&long)}]},
            {"type": "image", "image_url": "https://example.com/i.png", "alt_text": long, "title": plain(&long)},
            {"type": "markdown", "text": long},
        ],
        "attachments": [{"text": long, "footer": long, "fields": [{"title": long, "value": long}]}],
    });
    let message = posted(json!({}), &payload).await;
    for (path, max) in [
        ("/text", 40_000),
        ("/blocks/0/text/text", 150),
        ("/blocks/1/text/text", 3000),
        ("/blocks/1/fields/0/text", 2000),
        ("/blocks/2/elements/0/text", 3000),
        ("/blocks/3/elements/0/text/text", 75),
        ("/blocks/4/alt_text", 2000),
        ("/blocks/4/title/text", 2000),
        ("/blocks/5/text", 12_000),
        ("/attachments/0/text", 3000),
        ("/attachments/0/footer", 300),
        ("/attachments/0/fields/0/value", 2000),
    ] {
        let text = message.pointer(path).unwrap().as_str().unwrap();
        let length = text.chars().count();
        assert!(length <= max && length > max - 5, "{path}: {length}");
        assert!(text.ends_with(" characters cut]"), "{path}");
    }
}

#[tokio::test]
async fn escaped_characters_count_as_they_are_sent() {
    let text = "<".repeat(3000);
    let payload = json!({"blocks": [{"type": "section", "text": mrkdwn(&text)}]});
    let message = posted(json!({}), &payload).await;
    let sent = message["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(sent.chars().count() <= 3000);
    let (entities, _) = sent.split_once('…').unwrap();
    assert_eq!(entities.replace("&lt;", ""), "");
}

#[tokio::test]
async fn empty_texts_and_long_lists_are_accepted_too() {
    let fields: Vec<_> = (0..15).map(|n| mrkdwn(&n.to_string())).collect();
    let many: Vec<_> = (0..200).map(|n| json!({"text": n.to_string()})).collect();
    let payload = json!({
        "blocks": [
            {"type": "section", "text": mrkdwn(""), "fields": fields},
            {"type": "context", "elements": fields},
        ],
        "attachments": many,
    });
    let message = posted(json!({}), &payload).await;
    let section = &message["blocks"][0];
    assert_eq!(section["text"]["text"], " ");
    assert_eq!(section["fields"].as_array().unwrap().len(), 10);
    assert_eq!(section["fields"][9]["text"], "… [6 more cut]");
    assert_eq!(message["blocks"][1]["elements"][9], section["fields"][9]);
    let attachments = message["attachments"].as_array().unwrap();
    assert_eq!(attachments.len(), 100);
    assert_eq!(attachments[99]["text"], "… [101 more cut]");
}

#[tokio::test]
async fn the_blocks_of_an_attachment_have_the_same_limits() {
    let header = json!({"type": "header", "text": plain(&"x".repeat(200))});
    let mut inside = blocks(60);
    inside[0] = header;
    let message = posted(json!({}), &json!({"attachments": [{"blocks": inside}]})).await;
    let shown = &message["attachments"][0]["blocks"];
    assert_eq!(shown.as_array().unwrap().len(), 50);
    let header = shown[0]["text"]["text"].as_str().unwrap();
    assert!((140..=150).contains(&header.chars().count()), "{header}");
}
