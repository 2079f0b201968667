//! Programs that are not ours, in Python: those of the end-to-end tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter with what `e2e/python/requirements.txt` lists: `QQQ_PYTHON`, or the one in `target/venv`.
/// Without one the test is passed over, and says so; where `CI` is set, it fails.
#[track_caller]
pub(crate) fn python() -> Option<PathBuf> {
    let in_target = || {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(3).unwrap().join("venv/bin/python")
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

/// Runs a program to its end on `input`. Answers its standard output.
#[track_caller]
pub(crate) fn run(python: &Path, name: &str, input: String) -> String {
    run_on(python, name, &[], input)
}

/// The same, with files.
#[track_caller]
pub(crate) fn run_on(python: &Path, name: &str, files: &[PathBuf], input: String) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/python").join(name);
    let mut command = Command::new(python);
    command.arg(script).args(files).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Beside the reading: a program may answer before it has read all.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
