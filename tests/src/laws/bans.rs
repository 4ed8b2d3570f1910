//! The bans of `deny.toml`, held on every machine: what is really compiled is asked of `cargo tree`, since the lock
//! file also lists optional crates that nobody turned on.

use std::path::Path;
use std::process::Command;

use super::house::House;
use super::{Violation, assert_kept, places};

/// The banned crates as `deny.toml` lists them, with their reasons.
fn banned(deny: &str) -> Vec<(String, String)> {
    let deny: toml::Table = deny.parse().expect("deny.toml is TOML");
    let text = |entry: &toml::Value, key: &str| {
        let value = entry.get(key).and_then(toml::Value::as_str);
        value
            .unwrap_or_else(|| panic!("each ban has a `{key}`"))
            .to_owned()
    };
    deny["bans"]["deny"]
        .as_array()
        .expect("`bans.deny` is a list")
        .iter()
        .map(|entry| (text(entry, "crate"), text(entry, "reason")))
        .collect()
}

/// The compiled crates, one `name vVERSION` a line.
fn compiled(root: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--edges",
            "normal,build,dev",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .expect("`cargo tree` runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo tree` failed: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn check(tree: &str, banned: &[(String, String)]) -> Vec<Violation> {
    let names: std::collections::BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    banned
        .iter()
        .filter(|(name, _)| names.contains(name.as_str()))
        .map(|(name, reason)| Violation::of("Cargo.lock", format!("{name} is banned: {reason}")))
        .collect()
}

#[test]
fn no_banned_crate_is_compiled() {
    let house = House::read();
    let deny = house.text("deny.toml").expect("deny.toml is there");
    let banned = banned(&deny);
    for needed in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(
            banned.iter().any(|(name, _)| name == needed),
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
fn a_banned_crate_in_the_tree_is_found() {
    let deny = "[bans]\ndeny = [{ crate = \"ring\", reason = \"one TLS provider\" }]\n";
    let tree = "acteon-core v0.1.0 (/x)\nringbuf v0.4.0\nring v0.17.14\n";
    assert_eq!(places(&check(tree, &banned(deny))), ["Cargo.lock"]);
    assert_kept(&check("ringbuf v0.4.0\n", &banned(deny)));
}
