//! The dependency rule of ARCHITECTURE.md, read off `cargo metadata`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// For each crate of the workspace, all it needs to be built: by name, development and benches aside.
fn needs() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline", "--no-deps"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let of = package["dependencies"].as_array().expect("dependencies");
            let needs = of
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), needs)
        })
        .collect()
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("qqq-core", &[][..]),
        ("qqq-feed", &["qqq-core"]),
        ("qqq-store", &["qqq-core"]),
        ("qqq-notify", &["qqq-core"]),
        ("qqq-engine", &["qqq-core", "qqq-feed", "qqq-notify", "qqq-store"]),
        ("qqq-api", &["qqq-core", "qqq-engine", "qqq-store"]),
        ("qqq-tracker", &["qqq-api", "qqq-core", "qqq-engine", "qqq-feed", "qqq-notify", "qqq-store"]),
        ("qqq-testkit", &["qqq-core"]),
        ("qqq-e2e", &[]),
        ("qqq-bench", &[]),
    ]);
    let needs = needs();
    assert_eq!(
        needs.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>()
    );
    for (name, needs) in needs {
        let ours: Vec<&str> =
            needs.iter().map(String::as_str).filter(|need| need.starts_with("qqq-")).collect();
        assert_eq!(ours, allowed[name.as_str()], "{name} uses crates it must not, or lost some");
    }
}

#[test]
fn the_domain_needs_nothing_that_could_do_io() {
    let needs = needs();
    let domain: Vec<&str> = needs["qqq-core"].iter().map(String::as_str).collect();
    // A new name here is a decision: does it read clocks, files or sockets?
    assert_eq!(domain, ["base64", "hmac", "jiff", "psl", "sha2", "thiserror", "url", "uuid"]);
}
