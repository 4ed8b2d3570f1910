//! Pages wrap at 120 columns, so that a diff shows what changed. Tables, images and blocks of code are exempt.

use super::house::House;
use super::links::pages;
use super::{Violation, assert_kept, places};

const COLUMNS_MAX: usize = 120;

fn check(path: &str, page: &str) -> Vec<Violation> {
    let mut in_code = false;
    let long = (1..).zip(page.lines()).filter(|(_, line)| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let is_exempt = line.trim_start().starts_with(['|', '!']);
        !in_code && !is_exempt && line.chars().count() > COLUMNS_MAX
    });
    long.map(|(number, _)| {
        let law = format!("a line has at most {COLUMNS_MAX} columns: wrap it");
        Violation::at(path, number, law)
    })
    .collect()
}

#[test]
fn pages_wrap_at_120_columns() {
    let house = House::read();
    let violations: Vec<_> = pages(&house)
        .iter()
        .flat_map(|path| check(path, &house.text(path).unwrap_or_default()))
        .collect();
    assert_kept(&violations);
}

#[test]
fn a_long_line_is_found_outside_of_tables_images_and_code() {
    let long = "ä ".repeat(61);
    let page = format!("fits\n{long}\n| {long}\n![{long}](a)\n```\n{long}\n```\n- {long}\n");
    assert_eq!(places(&check("a.md", &page)), ["a.md:2", "a.md:8"]);
    assert_kept(&check("a.md", &"ä".repeat(120)));
}
