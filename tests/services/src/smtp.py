"""A mail server for tests, based on aiosmtpd. Its only argument is a JSON object:

port, folder            the port on 127.0.0.1, and the folder for accepted messages
encryption              "none", "starttls" (required) or "implicit"
certificate, key        PEM files, for TLS
user, password          the required credentials, or null
smtputf8                whether it accepts internationalized addresses

The mailbox `unknown` does not exist. Mailboxes `busy` are deferred once. Each accepted message is one line of JSON in the file `messages`, written before
the reply.
"""

import asyncio
import base64
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, MISSING

options = json.loads(sys.argv[1])
messages = pathlib.Path(options["folder"]) / "messages"
deferred = set()


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("unknown@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy@") and address not in deferred:
            deferred.add(address)
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        message = {
            "hello": session.host_name,
            "from": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "options": envelope.mail_options,
            "content": base64.b64encode(envelope.original_content).decode(),
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "mechanism": getattr(session, "mechanism", None),
            "peer": session.peer[1],
        }
        with messages.open("a") as file:
            file.write(json.dumps(message) + "\n")
        return "250 2.0.0 accepted"

    async def auth_PLAIN(self, server, args):
        server.session.mechanism = "PLAIN"
        if len(args) == 1:
            return await server.auth_PLAIN(server, args)
        _, user, password = base64.b64decode(args[1]).split(b"\0")
        return result(user.decode(), password.decode())

    async def auth_LOGIN(self, server, args):
        server.session.mechanism = "LOGIN"
        user = await server.challenge_auth("Username:")
        if user is MISSING:
            return AuthResult(success=False)
        password = await server.challenge_auth("Password:")
        if password is MISSING:
            return AuthResult(success=False)
        return result(user.decode(), password.decode())

    async def auth_XOAUTH2(self, server, args):
        server.session.mechanism = "XOAUTH2"
        parts = dict(part.split("=", 1) for part in base64.b64decode(args[1]).decode().split("\x01") if part)
        given = result(parts["user"], parts["auth"].removeprefix("Bearer "))
        if not given.success:
            await server.challenge_auth('{"status":"401"}')
        return given


def result(user, password):
    success = (user, password) == (options["user"], options["password"])
    return AuthResult(success=success, handled=False, auth_data=user)


def context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options["certificate"], options["key"])
    return context


def session():
    encryption = options["encryption"]
    return SMTP(
        Handler(),
        hostname="mail.test",
        enable_SMTPUTF8=options["smtputf8"],
        require_starttls=encryption == "starttls",
        tls_context=context() if encryption == "starttls" else None,
        auth_required=options.get("user") is not None,
        auth_require_tls=encryption == "starttls",
        authenticator=lambda *_: AuthResult(success=False),
    )


async def main():
    encrypted = context() if options["encryption"] == "implicit" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", options["port"], ssl=encrypted)
    await server.serve_forever()


asyncio.run(main())
