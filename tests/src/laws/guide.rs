//! The pages that guide a reader are true: their paths exist, "Where do I find" in ARCHITECTURE.md lists names that its
//! files declare, and "Words" in CONTRIBUTING.md lists words that the code uses.

use super::house::{House, is_test_file};
use super::{Violation, assert_kept, places};

const PAGE: &str = "ARCHITECTURE.md";
const TITLE: &str = "## Where do I find";

/// Readers look for these. Each must begin a row.
const TOPICS: &[&str] = &[
    "batching",
    "breaker",
    "commit",
    "dead letters",
    "dedup",
    "deliver",
    "fallback",
    "log lines",
    "metrics",
    "pause",
    "redelivery",
    "retry",
    "rules reload",
    "throttle",
];

const WORDS_PAGE: &str = "CONTRIBUTING.md";
const WORDS_TITLE: &str = "## Words";

/// One row of the table of files.
struct Row<'a> {
    line: usize,
    topic: &'a str,
    files: Vec<&'a str>,
    names: Vec<&'a str>,
}

/// The rows of the table below a title, with their lines and without the head of the table.
fn table<'a>(page: &'a str, title: &str) -> Vec<(usize, Vec<&'a str>)> {
    let section = (1..)
        .zip(page.lines())
        .skip_while(|(_, line)| *line != title);
    let section = section
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('#'));
    let lines = section.filter(|(_, line)| line.starts_with('|')).skip(2);
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.map(|(number, line)| (number, cells(line))).collect()
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let row = |(line, cells): (usize, Vec<_>)| {
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        Row {
            line,
            topic: cell(0),
            files: quoted(cell(1)),
            names: quoted(cell(2)),
        }
    };
    table(page, TITLE).into_iter().map(row).collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// True if a file declares the type, function or constant.
fn declares(text: &str, name: &str) -> bool {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let keywords = ["struct", "enum", "trait", "type", "fn", "const"];
    words
        .windows(2)
        .any(|pair| keywords.contains(&pair[0]) && pair[1] == name)
}

fn check(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let rows = rows(page);
    let mut found = Vec::new();
    for Row {
        line,
        topic,
        files,
        names,
    } in &rows
    {
        let texts: Vec<_> = files.iter().map(|file| (file, read(file))).collect();
        for (file, _) in texts.iter().filter(|(_, text)| text.is_none()) {
            let law = format!("{topic}: there is no file `{file}`; name the file that has it now");
            found.push(Violation::at(PAGE, *line, law));
        }
        if files.is_empty() {
            found.push(Violation::at(
                PAGE,
                *line,
                format!("{topic}: name its file in the second column"),
            ));
        }
        for name in names {
            let is_there =
                |text: &Option<String>| text.as_deref().is_none_or(|text| declares(text, name));
            if !texts.iter().any(|(_, text)| is_there(text)) {
                let law =
                    format!("{topic}: none of its files declares `{name}`; write its present name");
                found.push(Violation::at(PAGE, *line, law));
            }
        }
    }
    let is_missing = |topic: &&&str| !rows.iter().any(|row| row.topic.starts_with(**topic));
    let missing = TOPICS.iter().filter(is_missing);
    found.extend(
        missing.map(|topic| Violation::of(PAGE, format!("\"{TITLE}\" has no row for {topic}"))),
    );
    found
}

/// Each word of the first column must be used in the code.
fn check_words(page: &str, uses: impl Fn(&str) -> bool) -> Vec<Violation> {
    let rows = table(page, WORDS_TITLE);
    let words = rows.iter().flat_map(|(line, cells)| {
        let words = cells.first().copied().unwrap_or_default().split(", ");
        words.map(|word| (*line, word))
    });
    words
        .filter(|(_, word)| !uses(word))
        .map(|(line, word)| {
            let law = format!(
                "the code does not use `{word}`; write the present word, or remove the row"
            );
            Violation::at(WORDS_PAGE, line, law)
        })
        .collect()
}

#[test]
fn the_words_of_the_project_are_words_of_its_code() {
    let house = House::read();
    let page = house.text(WORDS_PAGE).expect("CONTRIBUTING.md is there");
    let sources = house.sources();
    let in_use: String = sources
        .iter()
        .filter(|source| !is_test_file(&source.path))
        .map(|source| source.text.to_lowercase())
        .collect();
    assert!(
        table(&page, WORDS_TITLE).len() > 20,
        "the words are a table"
    );
    assert_kept(&check_words(&page, |word| in_use.contains(word)));
}

#[test]
fn a_word_that_the_code_does_not_use_is_found() {
    let page = "## Words\n| word | meaning |\n|---|---|\n| loan | x |\n| loan, tower | y |\n";
    let found = check_words(page, |word| word == "loan");
    assert_eq!(places(&found), ["CONTRIBUTING.md:5"]);
}

/// Each quoted path from the root must exist. Patterns such as `a/<b>/` are no paths.
fn check_paths(name: &str, page: &str, exists: impl Fn(&str) -> bool) -> Vec<Violation> {
    let quoted = (1..)
        .zip(page.lines())
        .flat_map(|(number, line)| quoted(line).into_iter().map(move |path| (number, path)));
    let from_root = |path: &str| path.split_once('/').is_some_and(|(first, _)| exists(first));
    let is_pattern = |path: &str| path.contains(['<', '*', ' ', '$']);
    quoted
        .filter(|(_, path)| from_root(path) && !is_pattern(path) && !exists(path))
        .map(|(line, path)| {
            Violation::at(
                name,
                line,
                format!("`{path}` does not exist; write its present path"),
            )
        })
        .collect()
}

#[test]
fn the_paths_on_the_pages_exist() {
    let house = House::read();
    let mut violations = Vec::new();
    for name in [PAGE, WORDS_PAGE] {
        let page = house.text(name).expect("the page is there");
        let exists = |path: &str| !path.is_empty() && house.root.join(path).exists();
        violations.extend(check_paths(name, &page, exists));
    }
    assert_kept(&violations);
}

#[test]
fn a_path_that_does_not_exist_is_found() {
    let page = "Read `core/a.rs`,\n`core/gone.rs`, `core/<x>/` and `src/b.rs`.\n";
    let found = check_paths("x.md", page, |path| ["core", "core/a.rs"].contains(&path));
    assert_eq!(places(&found), ["x.md:2"]);
}

#[test]
fn readers_find_what_they_look_for() {
    let house = House::read();
    let page = house.text(PAGE).expect("ARCHITECTURE.md is there");
    assert_kept(&check(&page, |path| house.text(path)));
}

#[test]
fn a_missing_file_name_or_topic_is_found() {
    let table = "# A\n## Where do I find\n| topic | files | names |\n|---|---|---|\n\
                 | dedup: keys | `a.rs`, `b.rs` | `Keys` |\n| commit | `gone.rs` | |\n| pause | | |\n# B\n| x | `y` | |\n";
    let read = |path: &str| match path {
        "a.rs" => Some("use x::Keys;".to_owned()),
        "b.rs" => Some("pub struct Keys;".to_owned()),
        _ => None,
    };
    let found = check(table, read);
    let at_lines: Vec<_> = places(&found)
        .into_iter()
        .filter(|place| *place != PAGE)
        .collect();
    assert_eq!(at_lines, ["ARCHITECTURE.md:6", "ARCHITECTURE.md:7"]);
    assert_eq!(found.len() - at_lines.len(), TOPICS.len() - 3);
    let renamed = |path: &str| read(path).map(|text| text.replace("struct Keys", "struct Lines"));
    let found = check(table, renamed);
    assert_eq!(places(&found)[0], "ARCHITECTURE.md:5");
}
