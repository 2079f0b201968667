//! Mails through a mail server and a mail parser that are not ours: aiosmtpd, and Python's `email`.

use crate::dashboard;
use crate::recording;
use crate::secrecy::assert_not_told;
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::python::{self, python, script};
use qqq_testkit::smtp::SmtpSink;
use qqq_testkit::wait_for;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// For what takes a moment, on a slow machine. The first retry comes after 4 to 6 s, the second 18 s later.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

const USER: &str = "postmaster-canary";
const PASSWORD: &str = "Zu geheim/für%alle?";
/// [`PASSWORD`] as a URL has it.
const PASSWORD_IN_URL: &str = "Zu%20geheim%2Ff%C3%BCr%25alle%3F";
const READER: &str = "reader.canary@example.com";
const FROM: &str = "QQQ \"Spikes\" Tracker <alerts@qqq.example.org>";

#[test]
fn a_subscribers_mails_are_sound_from_confirmation_to_unsubscribing() {
    let server = MailServer::start(&[]);
    let mut tracker = market();
    tracker.set("email.smtp_url", server.url(PASSWORD_IN_URL));
    tracker.start("run");
    tracker.wait_for_bars();
    let http = tracker.http();
    sign_up(&http);

    let confirmation = server.wait_for_mail(1);
    confirmation.is_sound();
    assert_eq!(confirmation.header("Subject"), "Please confirm: alerts on META volume");
    assert_eq!(confirmation.header("List-Unsubscribe"), "", "nothing to unsubscribe from");
    assert_figures_agree(&confirmation);
    let confirm = confirmation.link(&http, "/v1/subscriptions/confirm?token=");
    // Whoever only looks changes nothing: mail software opens every link.
    for _ in 0..3 {
        assert_eq!(http.get(&confirm).status, 200);
    }
    wait_for_more_alerts(&http, 4);
    assert_eq!(server.count(), 1, "a mail before the confirmation");
    assert_eq!(http.post_form(&confirm, "").status, 200);

    let mail = server.wait_for_mail(2);
    mail.is_sound();
    let evidence = http.get(&mail.link(&http, "/v1/alerts/")).json();
    assert_eq!(evidence["symbol"], "META");
    let ratio = format!("{:.1}", evidence["ratio"].as_f64().expect("a ratio"));
    assert_eq!(mail.header("Subject"), format!("META volume {ratio}x its last hour"));
    assert!(mail.text("text/plain").contains("META traded 10,000 shares at "), "{mail:?}");
    assert_figures_agree(&mail);
    for part in ["text/plain", "text/html"] {
        for figure in
            ["10,000 shares", &format!("{ratio} times"), evidence["start"].as_str().expect("a time")]
        {
            assert!(mail.shown(part).contains(figure), "{part} lacks {figure}");
        }
    }
    let page = mail.link(&http, "/s/META");
    assert!(!dashboard::is_built(&http) || http.get(&page).status == 200, "{page}");

    // RFC 8058: the field holds one HTTPS (here HTTP) URI; posting to it ends the subscription.
    assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    let field = mail.header("List-Unsubscribe");
    let uri = field.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).expect("<URI>");
    let unsubscribe = path_of(&http, uri);
    assert_eq!(mail.link(&http, "/v1/subscriptions/unsubscribe?token="), unsubscribe);
    assert_eq!(http.get(&unsubscribe).status, 200);
    let sent = server.count();
    wait_for("mails after somebody looked at the unsubscribe page", PATIENCE, || {
        (server.count() > sent + 1).then_some(())
    });
    assert_eq!(http.post_form(&unsubscribe, "List-Unsubscribe=One-Click").status, 200);
    // What was on its way may still arrive; nothing that is raised now.
    wait_for_more_alerts(&http, 2);
    let sent = server.count();
    wait_for_more_alerts(&http, 5);
    assert_eq!(server.count(), sent, "a mail after unsubscribing");
    assert_eq!(http.post_form(&unsubscribe, "List-Unsubscribe=One-Click").status, 200, "again");

    server.saw_nothing_in_clear();
    let tokens =
        [&confirm, &unsubscribe].map(|link| link.split_once("token=").expect("a token").1.to_owned());
    let manage = confirmation.text("text/plain");
    let manage = manage.split_once("Token: ").expect("the token to manage it").1.split_whitespace().next();
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, tokens);
    assert_not_told(&tracker, manage);
    assert_not_told(&tracker, [READER, "reader.canary", USER, PASSWORD, PASSWORD_IN_URL, "Zu geheim"]);
}

#[test]
fn without_starttls_nothing_is_sent_and_nothing_is_lost() {
    let plain = MailServer::start(&["--no-tls"]);
    nothing_is_sent_until_mended(&plain, &plain.url(PASSWORD_IN_URL), "STARTTLS");
}

#[test]
fn to_a_server_of_an_unknown_authority_nothing_is_sent_and_nothing_is_lost() {
    let server = MailServer::start(&[]);
    let url = server.url(PASSWORD_IN_URL);
    let trusting_others = url.split("&ca=").next().expect("an address");
    nothing_is_sent_until_mended(&server, trusting_others, "certificate");
}

#[test]
fn with_a_wrong_password_nothing_is_sent_and_nothing_is_lost() {
    let server = MailServer::start(&[]);
    nothing_is_sent_until_mended(&server, &server.url("Zu%20geheim%2Fgeraten"), "535");
}

#[test]
fn a_server_that_wants_a_qualified_name_in_ehlo_gets_one() {
    let sink = SmtpSink::start(1);
    sink.be_strict();
    let mut tracker = market();
    tracker.set("email.smtp_url", sink.url());
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8(checked.stdout).expect("UTF-8");
    assert!(checked.status.success() && said.contains("`EHLO "), "{said}");
    assert_eq!(sink.count(), 0, "the check sent a mail");
    tracker.start("run");
    sign_up(&tracker.http());
    assert!(sink.wait_until(PATIENCE, |accepted| !accepted.is_empty()), "no mail");
}

#[test]
fn a_refused_name_fails_the_check_is_told_and_loses_nothing() {
    // Refuses whatever is said, at once.
    let server = MailServer::start(&["--no-tls", "--refuse-ehlo", "[198.51.100.3]"]);
    let mut tracker = market();
    let url = server.url(PASSWORD_IN_URL).replace("tls=required", "tls=none");
    tracker.set("email.smtp_url", &url).set("email.helo_name", "[198.51.100.3]");
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8(checked.stdout).expect("UTF-8");
    let line = said.lines().find(|line| line.starts_with("FAILED")).expect("a failure");
    for part in ["mail ", "501", "`EHLO [198.51.100.3]`", "Remedy: set email.helo_name"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    tracker.start("run");
    let http = tracker.http();
    sign_up(&http);
    let reason = wait_for("a refusal in the status", PATIENCE, || {
        Some(http.get("/v1/status").json()["deliveries"]["retrying"].clone()).filter(|retry| !retry.is_null())
    });
    assert_eq!(reason["reason"], "the mail server refused the name that this host gives in EHLO");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_eq!(server.count(), 0);

    tracker.set("email.helo_name", "mail.example.org");
    tracker.start("run");
    server.wait_for_mail(1);
}

#[test]
fn the_check_sends_a_mail_of_every_kind_where_it_is_asked_to() {
    let server = MailServer::start(&[]);
    let mut tracker = market();
    tracker.set("email.smtp_url", server.url(PASSWORD_IN_URL));
    let checked = tracker.output(&["check", "--mail-to", READER], PATIENCE);
    let said = String::from_utf8(checked.stdout).expect("UTF-8");
    assert!(checked.status.success() && said.contains("mails, of every kind, were accepted"), "{said}");
    assert!(!said.contains(READER), "{said}");
    let mails: Vec<Parsed> = (1..=server.count()).map(|number| server.wait_for_mail(number)).collect();
    for mail in &mails {
        mail.is_sound();
    }
    for subject in
        ["Please confirm: ", "You are subscribed: ", "[simulated] Retracted: ", "alerts that waited"]
    {
        assert!(mails.iter().any(|mail| mail.header("Subject").contains(subject)), "{subject}");
    }
}

#[test]
fn lines_that_begin_with_a_dot_arrive_whole() {
    let server = MailServer::start(&[]);
    let mut tracker = market();
    // Longer than a line of the HTML part's encoding can be: wherever that breaks it, a line begins with a
    // dot.
    let dots = ".".repeat(200);
    let site = format!("http://dots.example.org/{dots}/x");
    tracker.set("email.smtp_url", server.url(PASSWORD_IN_URL)).set("server.public_url", &site);
    tracker.start("run");
    sign_up(&tracker.http());
    let mail = server.wait_for_mail(1);
    assert!(mail.facts["dotted_lines"].as_u64() > Some(0), "no line begins with a dot: {mail:?}");
    for part in ["text/plain", "text/html"] {
        let links = mail.links(part);
        assert!(links.len() >= 2, "{part}");
        assert!(
            links.iter().all(|link| link.starts_with(&site)),
            "{part} has lost or gained a dot: {links:?}"
        );
    }
    assert_eq!(mail.facts["defects"], json!([]));
}

/// A mail is owed while the server cannot be used as `wrong` says: the log tells why, in `reason`, and no
/// secret; the mail arrives once the setting is mended.
#[track_caller]
fn nothing_is_sent_until_mended(server: &MailServer, wrong: &str, reason: &str) {
    let sound = MailServer::start(&[]);
    let mut tracker = market();
    tracker.set("email.smtp_url", wrong);
    tracker.start("run");
    sign_up(&tracker.http());
    let refusal = wait_for("a failed attempt in the log", PATIENCE, || {
        let log = tracker.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["message"] == "not accepted; trying again later")
    });
    let said = refusal["reason"].as_str().expect("a reason");
    assert!(said.contains(reason), "the log does not say `{reason}`: {said}");
    assert_eq!(refusal["level"], "WARN");
    assert_eq!(tracker.terminate(STOP).code(), Some(0));
    assert_not_told(&tracker, [READER, "reader.canary", USER, "Zu geheim", "Zu%20geheim", "geraten"]);
    assert_eq!(server.count(), 0, "a mail was accepted");
    server.saw_nothing_in_clear();

    tracker.set("email.smtp_url", sound.url(PASSWORD_IN_URL));
    tracker.start("run");
    let mail = sound.wait_for_mail(1);
    let id = refusal["delivery.id"].as_str().expect("an id");
    let told = mail.header("Message-ID");
    assert!(
        told.starts_with(&format!("<{id}.")) && told.ends_with("@qqq.example.org>"),
        "another id: {told}"
    );
}

/// A recorded market in which META's volume is unusual every five minutes, ten minutes a second, every bar an
/// alert; logs that say everything.
fn market() -> Tracker {
    let mut tracker = Tracker::new();
    let file = tracker.folder().join("bursts.csv");
    recording::write(&file, &recording::bursts("META", 5, 5));
    tracker.set("feed.provider", "replay").set("feed.replay.path", file.display());
    tracker.set("feed.replay.speed", "600x").set("market.calendar", "always");
    tracker.set("rules.cooldown", "0s").set("rules.min_bars", 5);
    tracker.set("email.from", FROM).set("log.filter", "trace").set("log.format", "json");
    tracker
}

#[track_caller]
fn sign_up(http: &Http) {
    let body = json!({ "email": READER, "metric": "volume", "ticker": "fb" });
    let answer = http.post_json("/subscribe", &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Waits until so many more alerts are there than now.
#[track_caller]
fn wait_for_more_alerts(http: &Http, more: usize) {
    let alerts = || http.get("/v1/alerts?limit=1000").json()["items"].as_array().expect("a list").len();
    let now = alerts();
    wait_for("more alerts", PATIENCE, || (alerts() >= now + more).then_some(()));
}

/// The path of a link of ours.
#[track_caller]
fn path_of(http: &Http, link: &str) -> String {
    let site = format!("http://{}", http.address());
    let path = link.strip_prefix(&site).unwrap_or_else(|| panic!("{link} does not lead to {site}"));
    assert!(path.starts_with('/'), "{link}");
    path.to_owned()
}

/// Every number of the text stands in the HTML, and every link.
#[track_caller]
fn assert_figures_agree(mail: &Parsed) {
    let (text, shown) = (mail.text("text/plain"), mail.shown("text/html"));
    // The scale is drawn differently, and links are compared as such.
    let lines = text.lines().filter(|line| !line.contains("[#") && !line.contains("0.1x"));
    let words = lines.flat_map(str::split_whitespace).filter(|word| !word.starts_with("http"));
    let numbers = words.filter(|word| word.contains(|letter: char| letter.is_ascii_digit()));
    for number in numbers.map(|word| word.trim_end_matches(['.', ',', ';'])) {
        assert!(shown.contains(number), "`{number}` of the text is not in the HTML: {shown}");
    }
    let (in_text, in_html) = (mail.links("text/plain"), mail.links("text/html"));
    assert!(in_text.len() >= 3, "{text}");
    for link in in_text {
        assert!(in_html.contains(&link), "{link} of the text is not in the HTML: {in_html:?}");
    }
}

/// A mail server of its own process. Ends when dropped.
struct MailServer {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl MailServer {
    /// Starts one that knows [`USER`] and [`PASSWORD`].
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(python());
        command.arg(script("mail_server.py")).arg(folder.path()).args(options);
        command.args(["--user", USER, "--password", PASSWORD]).stdin(Stdio::piped());
        command.stderr(fs::File::create(folder.path().join("log")).expect("a file"));
        let process = command.spawn().expect("python runs");
        let mut server = Self { folder, port: 0, process };
        server.port = wait_for("the mail server", PATIENCE, || {
            let ended = server.process.try_wait().expect("a child");
            let said = || fs::read_to_string(server.folder.path().join("log"));
            assert!(ended.is_none(), "the mail server ended: {:?}", said());
            fs::read_to_string(server.folder.path().join("ready")).ok()?.parse().ok()
        });
        server
    }

    fn url(&self, password: &str) -> String {
        let ca = self.folder.path().join("ca.pem");
        format!("smtp://{USER}:{password}@127.0.0.1:{}?tls=required&ca={}", self.port, ca.display())
    }

    fn mails(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        paths
    }

    fn count(&self) -> usize {
        self.mails().len()
    }

    /// The `number`-th mail accepted, from 1, as read by the mail parser.
    #[track_caller]
    fn wait_for_mail(&self, number: usize) -> Parsed {
        let path = wait_for("a mail", PATIENCE, || self.mails().into_iter().nth(number - 1));
        let facts = python::run("read_mail.py", &[path.to_str().expect("a path")]);
        let envelope = fs::read(path.with_extension("json")).expect("the envelope");
        let json = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
        Parsed { facts: json(facts.as_bytes()), envelope: json(&envelope) }
    }

    /// What went over the wire before it was encrypted is the greeting, and names nobody.
    #[track_caller]
    fn saw_nothing_in_clear(&self) {
        let wire = fs::read(self.folder.path().join("wire.bin")).expect("what was sent");
        let clear = String::from_utf8_lossy(&wire);
        assert!(clear.starts_with("EHLO "), "{clear}");
        for secret in ["AUTH", "MAIL FROM", "RCPT TO", "Subject", "token=", READER, USER, PASSWORD, "geheim"]
        {
            assert!(!clear.contains(secret), "`{secret}` was sent in clear text");
        }
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A mail as the parser read it.
#[derive(Debug)]
struct Parsed {
    facts: Value,
    envelope: Value,
}

impl Parsed {
    /// A header that stands once; empty where it does not stand at all.
    #[track_caller]
    fn header(&self, name: &str) -> String {
        let headers = self.facts["headers"].as_array().expect("a list");
        let mut found = headers.iter().filter(|header| header[0] == name);
        let value = found.next().map(|header| header[1].as_str().expect("a text").to_owned());
        assert!(found.next().is_none(), "{name} stands twice");
        value.unwrap_or_default()
    }

    /// The one part of a type.
    #[track_caller]
    fn part(&self, kind: &str) -> &Value {
        let parts = self.facts["parts"].as_array().expect("a list");
        parts.iter().find(|part| part["type"] == kind).expect(kind)
    }

    /// The source of a part, decoded.
    #[track_caller]
    fn text(&self, kind: &str) -> String {
        self.part(kind)["text"].as_str().expect("a text").to_owned()
    }

    /// What a reader sees of a part.
    #[track_caller]
    fn shown(&self, kind: &str) -> String {
        self.part(kind)["shown"].as_str().expect("a text").to_owned()
    }

    /// Where the links of a part lead.
    #[track_caller]
    fn links(&self, kind: &str) -> Vec<String> {
        let links = self.part(kind)["links"].as_array().expect("a list");
        links.iter().map(|link| link.as_str().expect("a text").to_owned()).collect()
    }

    /// The path of the text part's link whose path begins with `start`.
    #[track_caller]
    fn link(&self, http: &Http, start: &str) -> String {
        let links = self.links("text/plain");
        let link = links.iter().find(|link| link.contains(start));
        path_of(http, link.unwrap_or_else(|| panic!("no link to {start} in {links:?}")))
    }

    /// What every mail of ours must be.
    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(self.facts["defects"], json!([]));
        assert_eq!(self.facts["bare_line_ends"], 0, "a line does not end with CRLF");
        assert_eq!(self.facts["not_ascii"], 0, "the server did not offer 8BITMIME");
        assert!(self.facts["longest_line"].as_u64() <= Some(998), "RFC 5322, section 2.1.1");

        assert_eq!(self.facts["from"], json!(["alerts@qqq.example.org"]));
        assert_eq!(
            self.header("From"),
            FROM.replace('"', "\\\"").replacen("QQQ", "\"QQQ", 1).replace(" <", "\" <")
        );
        assert_eq!(self.facts["to"], json!([READER]));
        assert_eq!(self.envelope["to"], json!([READER]));
        assert_eq!(self.envelope["from"], "alerts@qqq.example.org");
        assert_eq!((&self.envelope["tls"], &self.envelope["authenticated"]), (&json!(true), &json!(true)));
        // The reader's own clock and ours are one.
        let date = self.facts["date"].as_str().expect("a date");
        let now = python_now();
        assert!(date <= now.as_str() && date >= "2025", "Date {date}, now {now}");
        let id = self.header("Message-ID");
        assert!(id.starts_with('<') && id.ends_with("@qqq.example.org>"), "{id}");
        assert_eq!(self.header("MIME-Version"), "1.0");
        assert_eq!(self.header("Auto-Submitted"), "auto-generated");
        assert_eq!(self.header("List-Id"), "QQQ Tracker alerts <alerts.qqq-tracker.qqq.example.org>");

        assert_eq!(self.facts["type"], "multipart/alternative");
        let parts = self.facts["parts"].as_array().expect("a list");
        let kinds: Vec<_> = parts.iter().map(|part| part["type"].clone()).collect();
        assert_eq!(kinds, ["text/plain", "text/html"], "the best form is the last");
        assert!(parts.iter().all(|part| part["charset"] == "utf-8"), "{parts:?}");
    }
}

/// Now, as the parser writes dates.
#[track_caller]
fn python_now() -> String {
    let program = "import datetime; print(datetime.datetime.now(datetime.timezone.utc).isoformat())";
    let output = Command::new(python()).args(["-c", program]).output().expect("python runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}
