use serde::Deserialize;

use super::*;

struct Greeters;

impl Family for Greeters {
    const NAME: &'static str = "greeter";
    type Context = &'static str;
    type Product = String;
}

struct Polite;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    greeting: String,
}

#[async_trait]
impl Factory<Greeters> for Polite {
    const KIND: &'static str = "polite";
    type Config = Options;

    fn check(&self, config: &Options, name: &str) -> Result<(), BuildError> {
        match config.greeting.is_empty() {
            true => Err(BuildError::new(format!("`{name}` has no `greeting`"))),
            false => Ok(()),
        }
    }

    async fn build(&self, config: Options, name: &'static str) -> Result<String, BuildError> {
        Ok(format!("{}, {name}", config.greeting))
    }
}

fn registry() -> Registry<Greeters> {
    let mut registry = Registry::default();
    registry.register(Polite);
    registry
}

#[tokio::test]
async fn an_adapter_is_planned_from_its_options_and_built_later() {
    let options = serde_json::json!({"greeting": "good morning"});
    let plan = registry().plan("polite", options).unwrap();
    assert_eq!(plan.build("world").await.unwrap(), "good morning, world");
}

#[test]
fn options_of_the_right_shape_are_checked_under_their_name_before_anything_is_built() {
    let plan = |greeting| {
        let options = serde_json::json!({"greeting": greeting});
        registry().plan("polite", options).unwrap()
    };
    assert!(plan("good morning").check("x").is_ok());
    let refused = plan("").check("x").unwrap_err();
    assert_eq!(refused.to_string(), "`x` has no `greeting`");
}

#[test]
fn an_unknown_kind_names_the_known_ones() {
    let error = registry().plan("rude", Value::Null).err().unwrap();
    assert_eq!(
        error.to_string(),
        "there is no greeter `rude`; known: polite"
    );
}

#[test]
fn options_of_the_wrong_shape_name_the_place() {
    let error = registry()
        .plan("polite", serde_json::json!({"greeting": 3}))
        .err()
        .unwrap();
    assert!(matches!(error, PlanError::Options { ref path, .. } if path == "greeting"));
}

#[test]
fn what_one_writes_to_no_other_may_use_and_what_is_only_read_may_be_shared() {
    let uses = |reads: &[&str], writes: &[&str]| Uses {
        reads: reads.iter().map(|name| (*name).to_owned()).collect(),
        writes: writes.iter().map(|name| (*name).to_owned()).collect(),
    };
    let first = uses(&["orders"], &["late"]);
    assert_eq!(first.overlap(&uses(&["orders"], &["later"])), None);
    assert_eq!(first.overlap(&uses(&["bills"], &["late"])), Some("late"));
    assert_eq!(first.overlap(&uses(&["late"], &[])), Some("late"));
    assert_eq!(first.overlap(&uses(&[], &["orders"])), Some("orders"));
}
