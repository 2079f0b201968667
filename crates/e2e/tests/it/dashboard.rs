//! The dashboard as the built program serves it. What it shows, `dashboard/e2e` looks at with a browser.

use qqq_e2e::Tracker;
use qqq_testkit::http::Http;

/// Whether the program has its dashboard: `make test` builds that first. Where it has none the test passes
/// over it, and says so; where `CI` is set, it fails.
#[track_caller]
pub(crate) fn is_built(http: &Http) -> bool {
    let built = http.get("/").status == 200;
    if !built {
        let what = "the program has no dashboard: `make build` builds one";
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("SKIPPED: {what}");
    }
    built
}

#[test]
fn the_program_holds_its_whole_dashboard() {
    let mut tracker = Tracker::new();
    tracker.start("server");
    let http = tracker.http();
    if !is_built(&http) {
        return;
    }
    let shell = http.get("/s/META");
    assert_eq!(shell.status, 200);
    let html = shell.text();
    let files = ["src=\"/", "href=\"/"].into_iter().flat_map(|attribute| html.split(attribute).skip(1));
    let files: Vec<_> =
        files.filter_map(|rest| rest.split('"').next()).filter(|file| file.contains('.')).collect();
    assert!(files.iter().any(|file| file.ends_with(".js")), "{html}");
    for file in files {
        let answer = http.get(&format!("/{file}"));
        assert_eq!(answer.status, 200, "{file}");
        let kept = answer.header("cache-control").unwrap_or_default().contains("immutable");
        assert_eq!(kept, file.starts_with("assets/"), "{file}");
    }
}
