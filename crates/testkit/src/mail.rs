//! What a mail says, read as plainly as its text part is written.

/// A mail: headers and text part. Made from the bytes of a `.eml` file or of an SMTP conversation.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The whole of it, lines ended by `\n`.
    pub raw: String,
}

impl Mail {
    /// Reads a mail. Lines may end with CRLF or LF.
    pub fn new(bytes: &[u8]) -> Self {
        Self { raw: String::from_utf8_lossy(bytes).replace("\r\n", "\n") }
    }

    /// A header's value, unfolded. `None` where there is no such header.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.raw.split("\n\n").next().unwrap_or_default();
        let mut lines = head.lines().skip_while(|line| {
            !line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        let first = lines.next()?.split_once(':')?.1.trim().to_owned();
        let folded = lines.take_while(|line| line.starts_with([' ', '\t']));
        Some(folded.fold(first, |value, line| format!("{value} {}", line.trim())))
    }

    /// `Message-ID`. Panics where there is none.
    #[track_caller]
    pub fn message_id(&self) -> String {
        self.header("Message-ID").unwrap_or_else(|| panic!("a mail without Message-ID:\n{}", self.raw))
    }

    /// `Subject`, as it stands in the header.
    pub fn subject(&self) -> String {
        self.header("Subject").unwrap_or_default()
    }

    /// `To`, the address alone.
    pub fn to(&self) -> String {
        let to = self.header("To").unwrap_or_default();
        let address = to.rsplit_once('<').map_or(to.as_str(), |(_, address)| address);
        address.trim().trim_end_matches('>').to_owned()
    }

    /// The text part. Panics where there is none, or where it is encoded.
    #[track_caller]
    pub fn text(&self) -> &str {
        match self.plain_part() {
            Some(text) => text,
            None => panic!("a mail without a readable text part:\n{}", self.raw),
        }
    }

    fn plain_part(&self) -> Option<&str> {
        let part = &self.raw[self.raw.find("Content-Type: text/plain")?..];
        let (head, body) = part.split_once("\n\n")?;
        let encoded = ["quoted-printable", "base64"].iter().any(|encoding| head.contains(encoding));
        (!encoded).then(|| body.split("\n--").next().unwrap_or(body))
    }

    /// The address of the text part's first link that contains `part`.
    pub fn link(&self, part: &str) -> Option<&str> {
        self.text().split_whitespace().find(|word| word.starts_with("http") && word.contains(part))
    }

    /// Where that link leads, without the host.
    ///
    /// # Panics
    /// Where there is none.
    #[track_caller]
    pub fn path(&self, part: &str) -> &str {
        let link = self.link(part).unwrap_or_else(|| panic!("no {part} in\n{}", self.raw));
        let host = link.find("//").map_or(0, |at| at + 2);
        link[host..].find('/').map_or("/", |at| &link[host + at..])
    }

    /// The alert it tells of, by the link to its evidence.
    pub fn alert_id(&self) -> Option<&str> {
        self.link("/v1/alerts/")?.rsplit('/').next()
    }

    /// The token of its link to `confirm` or `unsubscribe`.
    pub fn token(&self, action: &str) -> Option<&str> {
        self.link(&format!("/v1/subscriptions/{action}?token="))?.split_once("token=").map(|(_, token)| token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_gives_its_headers_its_text_and_its_links() {
        let mail = Mail::new(
            b"To: a@example.com\r\nSubject: one\r\n two\r\nMessage-ID: <1@x>\r\n\
              Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; \
              charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\nhttp://h/v1/alerts/77\r\n\
              http://h/v1/subscriptions/confirm?token=abc\r\n\r\n\
              --b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n",
        );
        assert_eq!(mail.to(), "a@example.com");
        assert_eq!(mail.subject(), "one two");
        assert_eq!(mail.message_id(), "<1@x>");
        assert!(mail.text().starts_with("Hello\n") && !mail.text().contains("<p>"));
        assert_eq!(mail.alert_id(), Some("77"));
        assert_eq!(mail.token("confirm"), Some("abc"));
        assert_eq!(mail.token("unsubscribe"), None);
        assert_eq!(mail.header("List-Id"), None);
    }
}
