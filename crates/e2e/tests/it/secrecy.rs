//! What logs must never hold, whatever their level.

use qqq_e2e::Tracker;

/// Holds both outputs of the latest start to be free of every secret. The log must be there and say a lot:
/// `log.filter=trace` is expected.
#[track_caller]
pub(crate) fn assert_not_told<S: AsRef<str>>(tracker: &Tracker, secrets: impl IntoIterator<Item = S>) {
    let (out, log) = (tracker.stdout(), tracker.stderr());
    assert!(log.contains("\"TRACE\"") || log.contains("\"DEBUG\""), "the log says little: set log.filter");
    for secret in secrets {
        let secret = secret.as_ref();
        assert!(secret.len() >= 6, "`{secret}` may stand in a log by chance");
        for (name, text) in [("standard output", &out), ("the log", &log)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{name} holds `{secret}`");
        }
    }
}
