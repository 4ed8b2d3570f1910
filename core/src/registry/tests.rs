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

    async fn build(&self, config: Options, name: &'static str) -> Result<String, BuildError> {
        match config.greeting.is_empty() {
            true => Err(BuildError::at("greeting", format!("{name} is not greeted"))),
            false => Ok(format!("{}, {name}", config.greeting)),
        }
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

#[tokio::test]
async fn an_option_of_the_right_shape_that_cannot_work_is_named_when_it_is_built() {
    let options = serde_json::json!({"greeting": ""});
    let plan = registry().plan("polite", options).unwrap();
    let refused = plan.build("Ada").await.unwrap_err();
    assert_eq!(refused.option, "greeting");
    assert_eq!(refused.to_string(), "`greeting`: Ada is not greeted");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut faults = Faults::default();
    assert_eq!(faults.keep(Ok(5)), Some(5));
    assert_eq!(faults.keep::<u8>(Err(BuildError::at("a", "bad"))), None);
    assert_eq!(faults.keep::<u8>(Err(BuildError::at("b", "worse"))), None);
    let error = faults.end(Some(5)).unwrap_err();
    let told: Vec<_> = error.each().map(ToString::to_string).collect();
    assert_eq!(told, ["`a`: bad", "`b`: worse"]);
    assert_eq!(Faults::default().end(Some(5)).unwrap(), 5);
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
