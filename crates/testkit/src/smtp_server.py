"""A mail server for tests: aiosmtpd with STARTTLS or TLS and AUTH, and Python's email module to read what comes.

Every mail becomes one line of JSON in a file, written before the mail is confirmed. Some addresses are refused, by
their local part: `later` with 451, `never` with 550; and `once` with 450 the first time.
"""

import argparse
import asyncio
import base64
import json
import re
import signal
import ssl
from email import message_from_bytes
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--security", choices=["starttls", "tls", "none"], default="starttls")
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--size", type=int, default=32 << 20)
parser.add_argument("--only", help="the one AUTH mechanism that is offered")
parser.add_argument("--mails", required=True)
options = parser.parse_args()

mails = open(options.mails, "ab+")
mails.seek(0)
# What a server that was killed had begun to write was not confirmed.
mails.truncate(mails.read().rfind(b"\n") + 1)
seen_once = set()


def part(piece):
    """A leaf of the mail's tree."""
    return {
        "type": piece.get_content_type(),
        "disposition": piece.get_content_disposition(),
        "name": piece.get_filename(),
        "id": piece["Content-ID"],
        "bytes": base64.b64encode(piece.get_payload(decode=True)).decode(),
    }


def tree(piece):
    """The mail's structure in words, such as `mixed(text/plain, image/jpeg)`."""
    if not piece.is_multipart():
        return piece.get_content_type()
    return piece.get_content_subtype() + "(" + ", ".join(map(tree, piece.iter_parts())) + ")"


class Handler:
    """Refuses some recipients and writes down what comes."""

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        who = address.split("@")[0]
        if who == "later":
            return "451 4.7.1 greylisted"
        if who == "never":
            return "550 5.1.1 no such user"
        if who == "once" and address not in seen_once:
            seen_once.add(address)
            return "450 4.2.0 come back"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=default)
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or options.security == "tls",
            "user": session.auth_data,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "defects": [repr(defect) for piece in mail.walk() for defect in piece.defects],
            "tree": tree(mail),
            "parts": [part(piece) for piece in mail.walk() if not piece.is_multipart()],
            # What a server could take for something else: 8-bit letters, and ends of lines by halves.
            "odd": len(re.findall(rb"[^\x00-\x7f]|(?<!\r)\n|\r(?!\n)", envelope.content)),
        }
        mails.write(json.dumps(line).encode() + b"\n")
        mails.flush()
        return "250 2.0.0 taken"


class Server(SMTP):
    """The server, with XOAUTH2 as Google and Microsoft offer it."""

    async def auth_XOAUTH2(self, _, args):
        given = base64.b64decode(args[1]).decode()
        if given == f"user={options.user}\1auth=Bearer {options.password}\1\1":
            return AuthResult(success=True, auth_data=options.user)
        return AuthResult(success=False, handled=False)


def authenticate(server, session, envelope, mechanism, data):
    """Compares user and password."""
    right = (data.login.decode(), data.password.decode()) == (options.user, options.password)
    return AuthResult(success=right, handled=False, auth_data=options.user if right else None)


async def serve():
    """Listens, says where, and serves until it is ended."""
    context = None
    if options.security != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    starttls = context if options.security == "starttls" else None
    hidden = {"PLAIN", "LOGIN", "XOAUTH2"} - {options.only} if options.only else set()

    def protocol():
        return Server(
            Handler(),
            hostname="mail.example",
            data_size_limit=options.size,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate if options.user else None,
            auth_required=options.user is not None,
            # Over TLS from the first byte the library does not know that it is encrypted.
            auth_require_tls=starttls is not None,
            auth_exclude_mechanism=hidden,
        )

    loop = asyncio.get_running_loop()
    direct = context if options.security == "tls" else None
    server = await loop.create_server(protocol, "127.0.0.1", options.port, ssl=direct, reuse_address=True)
    print(f"port={server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


asyncio.run(serve())
