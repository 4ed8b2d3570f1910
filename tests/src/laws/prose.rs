//! Plain English: comments, messages and pages avoid the phrases of a small list. Names are for `words.rs`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::house::{House, Source, is_test_file};
use super::links::pages;
use super::{Violation, assert_kept, places};

/// The phrase in lower case, and what to write in its place.
const BANNED: &[(&str, &str)] = &[
    ("stand", STANDS),
    ("stands", STANDS),
    ("stood", STANDS),
    ("shall", "`must`, `will`, or the verb alone"),
    ("anew", "`again`, or a verb: retry, restart, recreate"),
    ("go by", GOES_BY),
    ("goes by", GOES_BY),
    ("nobody", "who it is: `no caller`, `no reader`"),
    ("somebody", "who it is: `a caller`, `a server`"),
    (
        "told",
        "the act: reports, receives, is called with, distinguishes",
    ),
    ("come to its end", ENDS),
    ("comes to its end", ENDS),
    ("come to an end", ENDS),
    ("comes to an end", ENDS),
    ("as may be", "it plainly"),
    ("all the same", "`anyway`, `still` or `equal`"),
    ("for good", "`permanently`"),
    ("is to be", "`must` or `will`"),
    ("are to be", "`must` or `will`"),
    ("of its own", OWN),
    ("of their own", OWN),
    ("those that", "the name of the things"),
    ("those who", "the name of the people"),
    ("become of", BECOMES),
    ("becomes of", BECOMES),
    ("became of", BECOMES),
    ("in vain", "`without success`"),
];

const STANDS: &str = "`is`, `is in`, `comes first`, `waits` or `stops`";
const GOES_BY: &str = "`depends on`, `uses` or `follows`";
const ENDS: &str = "`ends` or `finishes`";
const OWN: &str = "`separate`, or `its own` before the word";
const BECOMES: &str = "`happens to` or `the outcome of`";

/// This file quotes the phrases.
const LIST: &str = "tests/src/laws/prose.rs";

/// A word in lower case with its line, or the end of a sentence.
type Word = (usize, String);

fn check(path: &str, words: &[Word]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (phrase, instead) in BANNED {
        let parts: Vec<_> = phrase.split(' ').collect();
        let is_phrase = |window: &&[Word]| window.iter().map(|(_, word)| word).eq(&parts);
        found.extend(words.windows(parts.len()).filter(is_phrase).map(|window| {
            let law = format!("plain English has no \"{phrase}\": write {instead}");
            Violation::at(path, window[0].0, law)
        }));
    }
    found.sort_by_key(|violation| violation.place.clone());
    found
}

/// Adds the words of a text that begins at `line`. Code in backticks is left out.
fn add_words(text: &str, line: usize, words: &mut Vec<Word>) {
    let mut word = String::new();
    let mut line = line;
    let mut in_code = false;
    for letter in text.chars().chain([' ']) {
        if letter.is_alphanumeric() || matches!(letter, '\'' | '-' | '_') {
            word.extend(letter.to_lowercase());
            continue;
        }
        let whole = std::mem::take(&mut word);
        if !whole.is_empty() && !in_code {
            words.push((line, whole));
        }
        match letter {
            '`' => {
                in_code = !in_code;
                words.push((line, String::new()));
            }
            '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '|' | '"' => {
                words.push((line, String::new()));
            }
            '\n' => line += 1,
            _ => {}
        }
    }
}

/// The words of all comments. Lines that follow each other are one text.
fn comments(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut block = String::new();
    let mut first = 1;
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        match line.trim_start().strip_prefix("//") {
            Some(comment) => {
                if block.is_empty() {
                    first = number;
                }
                block += comment.trim_start_matches(['/', '!']);
                block.push('\n');
            }
            None => {
                add_words(&std::mem::take(&mut block), first, &mut words);
                words.push((number, String::new()));
            }
        }
    }
    words
}

/// The words of all string literals but doc comments.
fn literals(tokens: TokenStream, words: &mut Vec<Word>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let mut inside = group.stream().into_iter();
                let is_doc = group.delimiter() == Delimiter::Bracket
                    && matches!(inside.next(), Some(TokenTree::Ident(name)) if name == "doc");
                if !is_doc {
                    literals(group.stream(), words);
                }
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains('"') {
                    let text = text.replace("\\n", "  ").replace("\\\"", " ");
                    add_words(&text, literal.span().start().line, words);
                }
                words.push((0, String::new()));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn check_source(source: &Source) -> Vec<Violation> {
    let mut words = comments(&source.text);
    if !is_test_file(&source.path)
        && let Ok(tokens) = source.text.parse()
    {
        literals(tokens, &mut words);
    }
    check(&source.path, &words)
}

/// Blocks of code and quotations, such as former log messages in the changelog, are left out.
fn check_page(path: &str, page: &str) -> Vec<Violation> {
    let mut words = Vec::new();
    let mut in_code = false;
    let mut text = String::new();
    for line in page.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        if !is_fence && !in_code {
            text += line;
        }
        text.push('\n');
    }
    add_words(&without_quotations(&text), 1, &mut words);
    check(path, &words)
}

/// Blanks the text in double quotes. A paragraph ends them.
fn without_quotations(text: &str) -> String {
    let blank = |quoted: &str| quoted.replace(|c| c != '\n', " ");
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let parts = paragraph.split('"').enumerate();
        let kept = parts.map(|(at, part)| {
            if at % 2 == 0 {
                part.to_owned()
            } else {
                blank(part)
            }
        });
        kept.collect::<String>()
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn comments_messages_and_pages_are_plain() {
    let house = House::read();
    let sources = house.sources();
    let judged = sources.iter().filter(|source| source.path != LIST);
    let mut violations: Vec<_> = judged.flat_map(check_source).collect();
    for path in pages(&house) {
        let page = house.text(&path).unwrap_or_default();
        violations.extend(check_page(&path, &page));
    }
    assert_kept(&violations);
}

#[test]
fn a_banned_phrase_is_found_in_comments_and_messages() {
    let comment = "//! Plain.\n\n/// What is\n/// to be done.\nfn f() {}";
    let sample = |path, text| check_source(&Source::new(path, text));
    assert_eq!(places(&sample("a.rs", comment)), ["a.rs:3"]);
    let message = "fn f() {\n    error!(\"it\\nstands {x}\");\n}\n#[error(\"nobody\")]\nstruct X;";
    assert_eq!(places(&sample("a.rs", message)), ["a.rs:2", "a.rs:4"]);
    assert_kept(&sample("a/tests.rs", message));
    assert_eq!(places(&check_page("a.md", "A\nshall B\n")), ["a.md:2"]);
}

#[test]
fn code_names_and_other_words_are_not_banned() {
    let text = "/// `stands` is. To be long-standing.\nfn stands() { f('s'); }";
    assert_kept(&check_source(&Source::new("a.rs", text)));
    let page = "A `shall`.\n```\nshall\n```\nstandard \"it\nshall\" be\n";
    assert_kept(&check_page("a.md", page));
    assert_eq!(
        places(&check_page("a.md", "An \"a\" \"\n\nshall\n")),
        ["a.md:3"]
    );
}
