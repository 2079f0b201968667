//! The program under test: a folder with settings, and the process that runs in it, again and again.

use qqq_testkit::address::{self, Reserved};
use qqq_testkit::http::Http;
use qqq_testkit::{Mail, wait_for, wait_until};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What names of settings in the environment begin with.
const PREFIX: &str = "QQQ_TRACKER__";
/// Longest start that is waited for.
const START: Duration = Duration::from_secs(30);
/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 40;

/// The built program: `QQQ_TRACKER_BIN`, or what the same build left beside the tests.
#[track_caller]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("QQQ_TRACKER_BIN") {
        return PathBuf::from(path);
    }
    // target/<profile>/deps/<test>: the program lies two levels up.
    let test = std::env::current_exe().expect("the test knows where it lies");
    let profile = test.parent().and_then(Path::parent).expect("the test lies in target/<profile>/deps");
    let path = profile.join("qqq-tracker");
    assert!(path.is_file(), "{} is missing: run `cargo build -p qqq-tracker` first", path.display());
    path
}

/// A place to run the program in: an empty folder, settings, one address to listen on. The process may come
/// and go; the folder stays until the end, and a process still running then is killed.
#[derive(Debug)]
pub struct Tracker {
    folder: Arc<tempfile::TempDir>,
    settings: BTreeMap<String, String>,
    /// Which program runs.
    program: PathBuf,
    /// What runs it: itself, or a shell that limits it first.
    launcher: Vec<String>,
    place: Reserved,
    /// Where output goes instead of to files.
    output: Option<PathBuf>,
    running: Option<Child>,
    starts: u32,
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// An empty folder and an address of its own; every other setting as built in.
    pub fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let mut tracker = Self::in_folder(folder, BTreeMap::new());
        // Weeks of history are for tests of what they say.
        tracker.set("feed.sim.sessions", 1);
        tracker
    }

    /// Another process in the same folder, with the same settings but an address of its own.
    pub fn beside(&self) -> Self {
        let mut beside = Self::in_folder(Arc::clone(&self.folder), self.settings.clone());
        beside.program.clone_from(&self.program);
        beside
    }

    fn in_folder(folder: Arc<tempfile::TempDir>, settings: BTreeMap<String, String>) -> Self {
        let place = address::reserve();
        let address = place.address();
        let launcher = Vec::new();
        let (program, output, running) = (binary(), None, None);
        let mut tracker = Self { folder, settings, program, launcher, place, output, running, starts: 0 };
        tracker.set("server.listen", address);
        tracker.set("server.public_url", format!("http://{address}"));
        tracker
    }

    /// Runs another build of the program, for the starts to come.
    pub fn of_program(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.program = path.into();
        self
    }

    /// Sets a key, as `QQQ_TRACKER__...` in the environment, for the starts to come.
    pub fn set(&mut self, key: &str, value: impl Display) -> &mut Self {
        let name = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        self.settings.insert(name, value.to_string());
        self
    }

    /// Lets it have so many files open at most (`ulimit -n`), in the starts to come.
    pub fn limit_open_files(&mut self, most: u32) -> &mut Self {
        let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        self.launcher = ["sh", "-c", &script].map(str::to_owned).to_vec();
        self
    }

    /// Sets a variable of the environment that is no setting, for the starts to come.
    pub fn set_variable(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Sends the output of the starts to come to a device.
    pub fn write_output_to(&mut self, device: impl Into<PathBuf>) -> &mut Self {
        self.output = Some(device.into());
        self
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of its server.
    pub fn http(&self) -> Http {
        Http::new(self.place.address())
    }

    /// Starts `run` or `server` and waits until it answers.
    #[track_caller]
    pub fn start(&mut self, command: &str) {
        self.spawn(&[command]);
        self.wait_until_alive();
    }

    /// Starts a command in the background and waits for nothing. Output goes to files: [`Tracker::log`].
    #[track_caller]
    pub fn spawn(&mut self, arguments: &[&str]) {
        assert!(self.running.is_none(), "a process runs already");
        self.starts += 1;
        let file = |path: PathBuf| {
            let path = self.output.clone().unwrap_or(path);
            File::options().write(true).create(true).truncate(true).open(path).expect("a file for the output")
        };
        let child = self
            .command(arguments)
            .stdout(file(self.output_path("out")))
            .stderr(file(self.output_path("err")))
            .spawn();
        self.running = Some(child.expect("the program starts"));
    }

    /// Waits until `/healthz` answers.
    #[track_caller]
    pub fn wait_until_alive(&mut self) {
        self.wait_for_status("/healthz", START);
    }

    /// Waits until `/readyz` answers 200.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        self.wait_for_status("/readyz", START);
    }

    /// Waits until the newest bar of any symbol is known: from then on, the feed's clock is the store's.
    #[track_caller]
    pub fn wait_for_bars(&mut self) {
        let http = self.http();
        wait_for("a first bar", START, || {
            let symbols = http.get("/v1/symbols").json();
            symbols["items"].as_array()?.iter().any(|symbol| !symbol["bar"].is_null()).then_some(())
        });
    }

    #[track_caller]
    fn wait_for_status(&mut self, path: &str, patience: Duration) {
        let http = self.http();
        wait_for(&format!("{path} to answer 200"), patience, || {
            if let Some(status) = self.ended() {
                panic!("the program ended ({status}) while {path} was waited for\n{}", self.log());
            }
            http.request("GET", path, &[], b"").is_ok_and(|answer| answer.status == 200).then_some(())
        });
    }

    /// Runs a command with the same settings to its end, beside whatever runs already.
    #[track_caller]
    pub fn output(&self, arguments: &[&str], patience: Duration) -> Output {
        let output =
            |name: &str| tempfile::NamedTempFile::with_prefix_in(name, self.folder()).expect("a file");
        let (out, err) = (output("out"), output("err"));
        let mut child = self
            .command(arguments)
            .stdout(out.reopen().expect("a file"))
            .stderr(err.reopen().expect("a file"))
            .spawn()
            .expect("the program starts");
        let ended = wait_until(Instant::now() + patience, || child.try_wait().expect("a child"));
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (stdout, stderr) = (fs::read(out.path()).expect("output"), fs::read(err.path()).expect("output"));
        let Some(status) = ended else {
            let said = String::from_utf8_lossy(&stderr).into_owned();
            panic!("{arguments:?} did not end within {patience:?}\n{said}");
        };
        Output { status, stdout, stderr }
    }

    /// The program with the settings, in the folder. Settings of whoever runs the tests do not reach it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.launcher.split_first() {
            None => Command::new(&self.program),
            Some((launcher, arguments)) => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(PREFIX) {
                command.env_remove(name);
            }
        }
        command.envs(&self.settings).current_dir(self.folder()).stdin(Stdio::null()).args(arguments);
        command
    }

    /// Ends the process as a power cut would, and waits until it is gone.
    #[track_caller]
    pub fn kill_9(&mut self) {
        let mut child = self.running.take().expect("a running process");
        child.kill().expect("the process can be killed");
        child.wait().expect("the process ends");
    }

    /// Sends SIGTERM and waits for the end. Panics where it takes longer than `patience`.
    #[track_caller]
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(patience)
    }

    /// Sends SIGTERM and does not wait.
    #[track_caller]
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT, as Ctrl-C does, and does not wait.
    #[track_caller]
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Stops the process where it stands (SIGSTOP).
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    #[track_caller]
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Lets no file of the process grow beyond so many bytes, or all of them without end (RLIMIT_FSIZE).
    #[track_caller]
    pub fn limit_files(&self, bytes: Option<u64>) {
        let child = self.running.as_ref().expect("a running process");
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(Pid::from_child(child)), Resource::Fsize, limit).expect("the limit is taken");
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let log = self.output_path("err");
        match wait_until(Instant::now() + patience, || self.ended()) {
            Some(status) => {
                self.running = None;
                status
            }
            None => panic!("the program did not end within {patience:?}\n{}", tail(&log)),
        }
    }

    /// How the process ended, if it has.
    #[track_caller]
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.running.as_mut().expect("a process").try_wait().expect("its status")
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        let child = self.running.as_ref().expect("a running process");
        kill_process(Pid::from_child(child), signal).expect("the signal is delivered");
    }

    /// What the latest start wrote on standard error: its end.
    pub fn log(&self) -> String {
        tail(&self.output_path("err"))
    }

    /// What the latest start wrote on standard output.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.output_path("out")).unwrap_or_default()
    }

    /// What the latest start wrote on standard error, all of it.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.output_path("err")).unwrap_or_default()
    }

    /// Where the latest start's output goes.
    fn output_path(&self, stream: &str) -> PathBuf {
        self.folder().join(format!("{stream}-{}-{}.log", self.place.address().port(), self.starts))
    }

    /// The mails it wrote as files, by name: in the order they were enqueued.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = fs::read_dir(self.folder().join("data/mail")) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        paths.iter().map(|path| Mail::new(&fs::read(path).expect("a mail"))).collect()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() && self.starts > 0 {
            eprintln!("--- the end of the program's log (start {}):\n{}", self.starts, self.log());
        }
    }
}

fn tail(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
