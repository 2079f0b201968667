//! No backend contains delivery policy: what is searched for here stands in `qqq_core::delivery`, and a
//! backend only loads and applies (docs/adr/0034-policy-in-the-domain.md).

use std::path::{Path, PathBuf};

/// Words of decisions: quiet hours, budgets, lifetimes, schedules, suppressions, and what counts as told.
const WORDS: [&str; 16] = [
    "quiet_until",
    "no_room",
    "lifetime",
    "per_seconds",
    "is_paused",
    "has_ended",
    "may_have_been",
    "AlertState::",
    "Outcome::RetryAt",
    "Outcome::NotTried",
    "Outcome::Failed",
    "Outcome::Gone",
    "Outcome::Sent",
    "retry_at",
    "attempts > 1",
    "attempts = 1",
];

/// Sentences that an operator reads.
const SENTENCES: [&str; 6] = [
    "the subscription is not active",
    "the subscription is paused",
    "the address is suppressed",
    "the alert was retracted",
    "not accepted in time",
    "refused several times",
];

/// Constants of the policy, by their names.
const CONSTANTS: [&str; 11] = [
    "const MOST_UNDER_WAY",
    "const MOST_BUNDLED",
    "const SUPPRESSED_FOR",
    "const REFUSALS",
    "const LONGEST_REASON",
    "const MOST_CLAIMED",
    "const MOST_SETTLED",
    "const INACTIVE",
    "const CONFIRM_WITHIN",
    "const MOST_CONFIRMED",
    "SignedDuration::from_",
];

/// Files that deliver: each is looked through but for its tests.
const FILES: [&str; 4] = ["apply.rs", "claim.rs", "outbox.rs", "admin.rs"];

fn sqlite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite")
}

fn code_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn found(file: &Path, forbidden: &[&str]) -> Vec<String> {
    let code = code_of(file);
    let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines
        .filter_map(|(n, line)| {
            let word = forbidden.iter().find(|word| line.contains(**word))?;
            Some(format!("{}:{}: `{word}`", file.display(), n + 1))
        })
        .collect()
}

#[test]
fn a_backend_holds_no_constant_and_no_sentence_of_the_policy() {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(sqlite()).unwrap() {
        let file = entry.unwrap().path();
        all.extend(found(&file, &SENTENCES));
        all.extend(found(&file, &CONSTANTS));
    }
    assert!(all.is_empty(), "it belongs into qqq_core::delivery:\n{}", all.join("\n"));
}

#[test]
fn a_backend_takes_no_decision_about_a_delivery() {
    let all: Vec<String> = FILES.iter().flat_map(|name| found(&sqlite().join(name), &WORDS)).collect();
    assert!(all.is_empty(), "it belongs into qqq_core::delivery:\n{}", all.join("\n"));
}

#[test]
fn what_is_searched_for_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claim.rs");
    for word in WORDS.iter().chain(&SENTENCES).chain(&CONSTANTS) {
        std::fs::write(&file, format!("// {word}\nfn f() {{\n    {word};\n}}\n#[cfg(test)]\n{word}\n"))
            .unwrap();
        assert_eq!(found(&file, &[word]).len(), 1, "{word}");
    }
}
