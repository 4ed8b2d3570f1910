//! All rules in the guide to the rule language can be loaded.

use std::fs;
use std::path::Path;

use super::{file, listed};
use crate::{CompileSettings, RuleSet};

/// The YAML blocks of the guide, with the lines where they begin.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (line, &mut open) {
            ("```yaml", None) => open = Some((number + 1, String::new())),
            ("```", Some(_)) => blocks.extend(open.take()),
            (line, Some((_, text))) => text.extend([line, "\n"]),
            _ => {}
        }
    }
    blocks
}

/// A rule set around a block, which is a whole set or one key of a rule.
fn as_set(block: &str) -> Option<String> {
    let mut lines = block.lines();
    let first = lines.find(|line| !line.trim_start().starts_with('#'))?;
    let rest = match first.split_once(':')?.0 {
        "rules" => return Some(block.to_owned()),
        "condition" => "action: { type: allow }",
        "action" => "condition: { all: [] }",
        _ => return None,
    };
    let indented = block.replace('\n', "\n    ");
    Some(format!("rules:\n  - name: r\n    {indented}\n    {rest}\n"))
}

#[test]
fn every_rule_that_the_guide_shows_can_be_loaded() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/rules.md");
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    assert!(blocks.len() >= 10, "the page shows {} blocks", blocks.len());
    for (line, block) in blocks {
        let set = as_set(&block).unwrap_or_else(|| {
            panic!(
                "rules.md:{line}: a block of YAML begins with `rules:`, `condition:` or `action:`"
            )
        });
        let settings = CompileSettings {
            state_machines: ["alert".into()].into(),
            ..CompileSettings::default()
        };
        if let Err(problems) = RuleSet::compile(&[file("rules.yaml", &set)], &settings) {
            panic!("rules.md:{line}:\n{}\nin\n{set}", listed(&problems));
        }
    }
}
