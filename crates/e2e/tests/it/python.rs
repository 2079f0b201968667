//! Programs that are not ours, in Python: `python/*.py` beside this crate.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter with what `python/requirements.txt` lists: `QQQ_PYTHON`, or the one in `target/venv`.
/// Without one the test is passed over, and says so; where `CI` is set, it fails.
#[track_caller]
pub(crate) fn python() -> Option<PathBuf> {
    let in_target = || {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().expect("the test knows where it lies");
        test.ancestors().nth(3).expect("the test lies in target/<profile>/deps").join("venv/bin/python")
    };
    let python = std::env::var_os("QQQ_PYTHON").map_or_else(in_target, PathBuf::from);
    if python.is_file() {
        return Some(python);
    }
    let what = format!("{} is missing: `make test` sets it up", python.display());
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

/// Where a program of ours lies.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// Runs a program to its end. Answers its standard output.
#[track_caller]
pub(crate) fn run(python: &Path, name: &str, arguments: &[&str]) -> String {
    run_with(python, name, arguments, Stdio::null())
}

/// The same with a text to read.
#[track_caller]
pub(crate) fn run_on(python: &Path, name: &str, input: &str) -> String {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("a file");
    run_with(python, name, &[], file.into())
}

#[track_caller]
fn run_with(python: &Path, name: &str, arguments: &[&str], input: Stdio) -> String {
    let mut command = Command::new(python);
    let output = command.arg(script(name)).args(arguments).stdin(input).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}
