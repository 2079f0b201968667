//! The dependency rule of ARCHITECTURE.md, read off `cargo metadata`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
        ("qqq-contract", &["qqq-core"]),
        ("qqq-feed", &["qqq-core"]),
        ("qqq-store", &["qqq-core"]),
        ("qqq-notify", &["qqq-contract", "qqq-core"]),
        ("qqq-engine", &["qqq-core", "qqq-feed", "qqq-notify", "qqq-store"]),
        ("qqq-http", &["qqq-contract", "qqq-core", "qqq-engine", "qqq-store"]),
        (
            "qqq-tracker",
            &[
                "qqq-contract",
                "qqq-core",
                "qqq-engine",
                "qqq-feed",
                "qqq-http",
                "qqq-notify",
                "qqq-store",
                "qqq-top",
            ],
        ),
        // It knows what every client of the API knows.
        ("qqq-top", &[]),
        ("qqq-testkit", &["qqq-core"]),
        // No crate of the program itself: that is driven from outside.
        ("qqq-e2e", &["qqq-testkit"]),
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

/// What runs or configures the server. Use cases are in `qqq-engine`, shapes in `qqq-contract`.
#[test]
fn the_binary_takes_nothing_from_http_but_the_server() {
    const SERVER: [&str; 11] = [
        "Api",
        "ApiConfig",
        "Cors",
        "FrameAncestor",
        "IpNet",
        "Limits",
        "Origin",
        "Push",
        "StreamLimits",
        "is_loopback",
        "openapi",
    ];
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            for named in text.split("qqq_http::").skip(1) {
                let named = named.strip_prefix('{').map_or_else(
                    || named.split(|c: char| !c.is_alphanumeric() && c != '_').next(),
                    |names| names.split('}').next(),
                );
                for name in named.unwrap_or_default().split(',').map(str::trim) {
                    assert!(SERVER.contains(&name), "{} takes {name} from qqq-http", path.display());
                }
            }
        }
    }
}

#[test]
fn the_domain_needs_nothing_that_could_do_io() {
    let needs = needs();
    let domain: Vec<&str> = needs["qqq-core"].iter().map(String::as_str).collect();
    // A new name here is a decision: does it read clocks, files or sockets?
    let without_io = [
        "base64",
        "ethnum",
        "hmac",
        "jiff",
        "num-bigint",
        "num-traits",
        "psl",
        "sha2",
        "strum",
        "thiserror",
        "url",
        "uuid",
    ];
    assert_eq!(domain, without_io);
}
