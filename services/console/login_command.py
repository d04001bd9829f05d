"""``gridledger console login URL``: log in to the console of a control room with one's own key."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gridledger import jsontext
from gridledger.client import SigningIdentity
from gridledger.client.profile import PROFILE_VARIABLE, load_profile, profile_path, read_roots
from gridledger.errors import InputError
from gridledger.protocol.fields import object_of, text_of, to_base64
from gridledger.transport.node_client import NodeClient
from services.console.challenges import ANSWER_PATH, CHALLENGE_PATH, MAX_NONCE, login_text
from services.console.errors import LoginRefused
from services.console.opening import open_browser
from services.console.sessions import TOKEN_S

_READ_WITHIN_S: Final = 10.0
"""How long the file that posts the token is there for the browser to read."""


def main(arguments: list[str]) -> int:
    """Sign the console's challenge and open the browser; the exit code."""
    options = _parser().parse_args(arguments)
    origin = _origin(options.url)
    profile = load_profile(options.directory)
    folder = options.identity or profile.user_folder(options.user)
    identity = SigningIdentity.load(folder)
    token = asyncio.run(answer_challenge(origin, identity, read_roots(options.roots or profile.roots)))
    if not options.no_browser:
        with tempfile.TemporaryDirectory(prefix="gridledger-console-") as place:
            if open_browser(Path(place) / "login.html", origin, token):
                time.sleep(_READ_WITHIN_S)
                return 0
    print(f"Log in once, within {TOKEN_S / 60:.0f} minutes: {origin}/login?t={token}")  # noqa: T201
    return 0


async def answer_challenge(origin: str, identity: SigningIdentity, roots_pem: str) -> str:
    """The token of a login as ``identity``. ``roots_pem`` are those by which the console is known.

    Raises :class:`LoginRefused` where the console says that it is another one: what is signed for it would open that.
    """
    async with NodeClient(origin, None, roots_pem) as console:
        told = object_of(await console.get_json(CHALLENGE_PATH), "a challenge")
        if text_of(told, "origin") != origin:
            raise LoginRefused(
                f"{origin} calls itself {told['origin']!r:.200}: use that address, if it is the one meant"
            )
        nonce = text_of(told, "nonce", max_length=MAX_NONCE)
        signature = identity.sign(login_text(origin, nonce))
        answer = {"nonce": nonce, "certificate": identity.certificate.pem, "signature": to_base64(signature)}
        body = await console.post(ANSWER_PATH, jsontext.dumps(answer))
        return text_of(object_of(jsontext.loads(body), "an answer"), "token")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise InputError(f"{url!r:.200} is no address of a console: it is as https://control-room:8643")
    return f"https://{parts.netloc}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger console login", description="Log in to the console of a control room with your own key."
    )
    parser.add_argument("url", metavar="URL", help="the console's address, such as https://control-room:8643")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--user", metavar="ORG/NAME", help="as whom (default: the network's first user)")
    who.add_argument("--identity", type=Path, metavar="FOLDER", help="as the identity in this folder")
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        default=profile_path(),
        metavar="FOLDER",
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )
    parser.add_argument(
        "--roots", type=Path, metavar="PEM", help="roots of the console's certificate, if not the network's"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    return parser
