//! Checks the bans of `deny.toml` on every machine. Asks `cargo tree` which crates are really compiled, because the
//! lock file also lists optional crates that are not enabled.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::house::House;
use super::{Violation, assert_kept, places};

/// A crate that must not be compiled.
struct Ban {
    name: String,
    /// The crates that may use it anyway.
    wrappers: Vec<String>,
    reason: String,
}

/// The crates banned in `deny.toml`, with their reasons.
fn banned(deny: &str) -> Vec<Ban> {
    let deny: toml::Table = deny.parse().expect("deny.toml is TOML");
    let text = |entry: &toml::Value, key: &str| {
        let value = entry.get(key).and_then(toml::Value::as_str);
        value
            .unwrap_or_else(|| panic!("each ban has a `{key}`"))
            .to_owned()
    };
    let wrappers = |entry: &toml::Value| {
        let listed = entry.get("wrappers").and_then(toml::Value::as_array);
        let names = listed.into_iter().flatten().filter_map(toml::Value::as_str);
        names.map(str::to_owned).collect()
    };
    deny["bans"]["deny"]
        .as_array()
        .expect("`bans.deny` is a list")
        .iter()
        .map(|entry| Ban {
            name: text(entry, "crate"),
            wrappers: wrappers(entry),
            reason: text(entry, "reason"),
        })
        .collect()
}

/// The compiled crates, one `DEPTHname vVERSION` per line, each below the crate that needs it.
fn compiled(root: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--edges",
            "normal,build,dev",
        ])
        .args(["--prefix", "depth", "--format", "{p}"])
        .current_dir(root)
        .output()
        .expect("`cargo tree` runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo tree` failed: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Each crate of the tree with the crate that needs it. Our own crates need none.
fn needs(tree: &str) -> BTreeSet<(Option<&str>, &str)> {
    let mut above: Vec<&str> = Vec::new();
    let mut found = BTreeSet::new();
    for line in tree.lines() {
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (depth, name) = line.split_at(digits);
        let (Ok(depth), Some(name)) = (depth.parse(), name.split(' ').next()) else {
            continue;
        };
        above.truncate(depth);
        found.insert((above.last().copied(), name));
        above.push(name);
    }
    found
}

fn check(tree: &str, banned: &[Ban]) -> Vec<Violation> {
    let needs = needs(tree);
    let is_broken = |ban: &&Ban| {
        needs.iter().any(|(by, name)| {
            let excepted = by.is_some_and(|by| ban.wrappers.iter().any(|wrapper| wrapper == by));
            *name == ban.name && !excepted
        })
    };
    banned
        .iter()
        .filter(is_broken)
        .map(|Ban { name, reason, .. }| {
            Violation::of("Cargo.lock", format!("{name} is banned: {reason}"))
        })
        .collect()
}

#[test]
fn no_banned_crate_is_compiled() {
    let house = House::read();
    let deny = house.text("deny.toml").expect("deny.toml is there");
    let banned = banned(&deny);
    for needed in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(
            banned.iter().any(|ban| ban.name == needed),
            "{needed} must stay banned"
        );
    }
    let tree = compiled(&house.root);
    assert!(
        tree.contains("acteon-core v"),
        "`cargo tree` lists our crates"
    );
    assert_kept(&check(&tree, &banned));
}

#[test]
fn the_openssl_of_the_kafka_client_is_built_from_source() {
    let tree = compiled(&House::read().root);
    assert!(needs(&tree).contains(&(Some("openssl-sys"), "openssl-src")));
}

#[test]
fn a_banned_crate_in_the_tree_is_found() {
    let deny = "[bans]\ndeny = [{ crate = \"ring\", reason = \"one TLS provider\" }]\n";
    let tree = "0acteon-core v0.1.0 (/x)\n1ringbuf v0.4.0\n1ring v0.17.14\n";
    assert_eq!(places(&check(tree, &banned(deny))), ["Cargo.lock"]);
    assert_kept(&check("0ringbuf v0.4.0\n", &banned(deny)));
}

#[test]
fn a_banned_crate_with_an_exception_is_found_below_any_other() {
    let deny = "[bans]\ndeny = [{ crate = \"ring\", wrappers = [\"quinn\"], reason = \"no\" }]\n";
    let excepted = "0acteon-core v0.1.0 (/x)\n1quinn v1.0.0\n2ring v0.17.14\n1bytes v1.0.0\n";
    assert_kept(&check(excepted, &banned(deny)));
    let others = format!("{excepted}2ring v0.17.14 (*)\n");
    assert_eq!(places(&check(&others, &banned(deny))), ["Cargo.lock"]);
    assert_eq!(
        places(&check("0ring v0.17.14\n", &banned(deny))),
        ["Cargo.lock"]
    );
}
