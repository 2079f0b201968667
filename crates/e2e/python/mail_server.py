"""A mail server that is not ours: aiosmtpd, behind a wire tap.

    mail_server.py FOLDER [--no-tls] [--refuse-ehlo NAME] [--user USER --password PASSWORD]

STARTTLS is required and so is AUTH, unless told otherwise; EHLO of NAME is answered 501. Writes into FOLDER:

    ca.pem        the authority that signed the certificate of localhost and 127.0.0.1
    ready         the port, once it is listened on
    NNNN.eml      the messages accepted, byte for byte
    NNNN.json     their envelopes
    wire.bin      everything clients sent, as it went over the wire

Ends when its standard input ends, so that it never outlives whoever started it.
"""

import argparse
import asyncio
import json
import ssl
import sys
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Store:
    """Keeps what is accepted."""

    def __init__(self, folder, refused):
        self.folder = folder
        self.refused = refused
        self.count = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        if hostname == self.refused:
            return ["501 5.5.4 Invalid domain name"]
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        name = self.folder / f"{self.count:04}"
        facts = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "authenticated": session.authenticated,
        }
        name.with_suffix(".json").write_text(json.dumps(facts))
        draft = name.with_suffix(".tmp")
        draft.write_bytes(envelope.original_content)
        draft.rename(name.with_suffix(".eml"))
        return "250 accepted"


def certificate(folder):
    authority = trustme.CA(organization_name="Test authority of a test")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def tap(port, wire, reader, writer):
    """Passes a connection on to `port` and keeps a copy of what the client says."""
    to_server_reader, to_server = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source, sink, copy=None):
        try:
            while data := await source.read(65536):
                if copy:
                    copy.write(data)
                    copy.flush()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    await asyncio.gather(pump(reader, to_server, wire), pump(to_server_reader, writer))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--refuse-ehlo", metavar="NAME")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()

    def authenticate(server, session, envelope, mechanism, data):
        known = LoginPassword((options.user or "").encode(), (options.password or "").encode())
        return AuthResult(success=isinstance(data, LoginPassword) and data == known, handled=False)

    tls = certificate(options.folder)
    keep = Store(options.folder, options.refuse_ehlo)

    def connection():
        return SMTP(
            keep,
            hostname="mail.test",
            tls_context=None if options.no_tls else tls,
            require_starttls=not options.no_tls,
            authenticator=authenticate,
            auth_required=options.user is not None,
            auth_require_tls=not options.no_tls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with open(options.folder / "wire.bin", "wb") as wire:
        tapped = await asyncio.start_server(lambda r, w: tap(port, wire, r, w), "127.0.0.1", 0)
        draft = options.folder / "ready.tmp"
        draft.write_text(str(tapped.sockets[0].getsockname()[1]))
        draft.rename(options.folder / "ready")
        await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
