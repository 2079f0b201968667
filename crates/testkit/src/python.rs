//! Programs that are not ours, in Python: `python/*.py` of the end-to-end tests. `make test` installs what
//! they need.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter with what `requirements.txt` beside the programs lists: `QQQ_PYTHON`, or the one in
/// `target/venv`. Panics where there is none: a test that passes without its peer has compared nothing.
#[track_caller]
pub fn python() -> PathBuf {
    let in_target = || {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().expect("the test knows where it lies");
        test.ancestors().nth(3).expect("the test lies in target/<profile>/deps").join("venv/bin/python")
    };
    let python = std::env::var_os("QQQ_PYTHON").map_or_else(in_target, PathBuf::from);
    assert!(python.is_file(), "{} is missing: `make test` sets it up", python.display());
    python
}

/// Where a program lies.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/python").join(name)
}

/// Runs a program to its end, with nothing to read. Answers its standard output.
#[track_caller]
pub fn run(name: &str, arguments: &[&str]) -> String {
    run_on(name, arguments, "")
}

/// The same with `input` to read. Panics with what the program said where it fails.
#[track_caller]
pub fn run_on(name: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(python());
    command.arg(script(name)).args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python does not run: {error}"));
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let input = input.as_bytes().to_vec();
    // Beside the reading: a program may answer before it has read all.
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its output can be read");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{said}", output.status);
    // A program that reads nothing may have ended before all was written.
    let _ = writing.join();
    String::from_utf8(output.stdout).expect("UTF-8")
}
