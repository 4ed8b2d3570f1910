use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The text that `log` logs.
fn logged(log: impl FnOnce()) -> String {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(written.clone())
        .event_format(JsonFormat)
        .finish();
    tracing::subscriber::with_default(subscriber, log);
    let bytes = written.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_is_an_object_with_the_fields_as_their_types() {
    let text = logged(|| {
        tracing::info!(
            count = 3_u64,
            part = 0.5,
            is_on = true,
            name = "a\nb",
            shown = %"x",
            debugged = ?Some(1),
            absent = None::<u64>,
            "said"
        );
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let mut line: Value = serde_json::from_str(&text).unwrap();
    let timestamp = line["timestamp"].take();
    assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
    let expected = json!({
        "timestamp": null, "level": "INFO", "target": module_path!(), "message": "said", "count": 3, "part": 0.5,
        "is_on": true, "name": "a\nb", "shown": "x", "debugged": "Some(1)",
    });
    assert_eq!(line, expected);
}

#[test]
fn a_name_that_is_taken_is_told_from_the_first() {
    let text = logged(|| {
        tracing::info!(
            message = "field",
            level = 7,
            target = "t",
            timestamp = 1,
            "said"
        );
    });
    let line: Value = serde_json::from_str(&text).unwrap();
    for name in ["message", "level", "target", "timestamp"] {
        assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{text}");
        assert_eq!(text.matches(&format!("\"{name}_\":")).count(), 1, "{text}");
    }
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["level_"], 7);
}

#[test]
fn an_error_comes_with_what_caused_it() {
    #[derive(Debug, thiserror::Error)]
    #[error("the outer one")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("the inner one"));
    let text = logged(|| tracing::error!(error = &error as &dyn Error, "failed"));
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["error"], "the outer one: the inner one");
}

#[test]
fn a_panic_is_a_line_like_any_other() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(super::super::events::panicked));
    let text = logged(|| {
        let panicked = std::panic::catch_unwind(|| panic!("number {}", 7));
        assert!(panicked.is_err());
    });
    std::panic::set_hook(before);
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "a thread panicked");
    assert_eq!(
        (&line["level"], &line["reason"]),
        (&json!("ERROR"), &json!("number 7"))
    );
    let place = line["place"].as_str().unwrap();
    assert!(place.starts_with(file!()), "{place}");
}
