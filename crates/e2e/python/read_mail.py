"""What a mail says, as Python's mail parser reads it: one JSON object per file, one a line. Standard library only.

    read_mail.py FILE...
"""

import json
import re
import sys
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a reader sees of HTML, where its links lead, and which elements are not closed in turn."""

    VOID = {"br", "meta"}

    def __init__(self, html):
        super().__init__()
        self.links, self.shown, self.open, self.unbalanced = [], [], [], []
        self.feed(html)
        self.close()
        self.unbalanced += self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value for name, value in attributes if (tag, name) == ("a", "href")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.shown.append(data)


def facts_of(part):
    text = part.get_content()
    facts = {
        "type": part.get_content_type(),
        "charset": part.get_content_charset(),
        "text": text,
        "shown": text,
        "links": re.findall(r"https?://\S+", text),
    }
    if facts["type"] == "text/html":
        page = Page(text)
        facts |= {"shown": " ".join(page.shown), "links": page.links, "unbalanced": page.unbalanced}
    return facts


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        raw = file.read()
    message = BytesParser(policy=policy.default).parsebytes(raw)
    parts = [part for part in message.walk() if not part.is_multipart()]
    defects = [defect for part in message.walk() for defect in part.defects]
    defects += [defect for part in message.walk() for header in part.values() for defect in header.defects]
    facts = {
        "headers": [[name, str(value)] for name, value in message.items()],
        "from": [address.addr_spec for address in message["From"].addresses],
        "to": [address.addr_spec for address in message["To"].addresses],
        "date": message["Date"].datetime.isoformat(),
        "type": message.get_content_type(),
        "parts": [facts_of(part) for part in parts],
        "defects": [repr(defect) for defect in defects],
        "longest_line": max(len(line) for line in raw.split(b"\r\n")),
        "bare_line_ends": len(re.findall(rb"(?<!\r)\n|\r(?!\n)", raw)),
        "not_ascii": sum(byte > 126 for byte in raw),
        "dotted_lines": len(re.findall(rb"(?m)^\.", raw)),
    }
    print(json.dumps(facts))
