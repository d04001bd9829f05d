"""``gridledger vault put``: share a file among a cluster's holders."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gridledger.cli.output import note, say, say_json
from gridledger.client import ConnectionProfile, SigningIdentity, load_profile
from gridledger.errors import InputError
from gridledger.sharing.profiles import MAX_OBJECT_BYTES, PROFILES
from services.vault.attributes import ID
from services.vault.commands.json_input import read_bytes
from services.vault.commands.network_options import add_network, key_value, opened
from services.vault.commands.options import new_parser, seconds
from services.vault.commands.split import WARNING
from services.vault.cutting import AUDITS, HEADS
from services.vault.dealer import Dealer, Sending
from services.vault.described import dealer_identity
from services.vault.layering import layer_below
from services.vault.session import Session, open_session, why

_MOST_AUDITS = 1024
_WHOLE = re.compile(r"-?[0-9]{1,15}", re.ASCII)


def main(argv: list[str]) -> int:
    """Put a file; the exit code."""
    parser = new_parser(
        "put",
        "Share a file among the holders of a cluster. It is stored once t + spare of them have acknowledged on the "
        "ledger; the command ends when the others have, too, or have failed.",
        (
            "put oil.csv --cluster M2",
            "put oil.csv --cluster M2 --name oil-2026.11 --meta function=oil --readers \"OR('TransformerMSP.member')\"",
            "put plan.pdf --cluster heads --layered Security/m1-head",
        ),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what to put, at most 64 MiB")
    parser.add_argument(
        "--cluster", required=True, metavar="NAME", help="whose holders; heads: over all clusters' heads"
    )
    parser.add_argument("--name", metavar="OBJECT", help="the object's name (default: the file's)")
    parser.add_argument("--profile", choices=PROFILES, help="how it is split (default: as the cluster says)")
    parser.add_argument(
        "--readers",
        metavar="POLICY",
        help="who may read (default: members of the cluster's and the base's organisation, and heads that share again)",
    )
    parser.add_argument(
        "--meta", type=key_value, action="append", default=[], metavar="NAME=VALUE", help="what the ledger says of it"
    )
    parser.add_argument(
        "--audits", type=int, default=AUDITS, metavar="N", help="audits prepared for each share (default: %(default)s)"
    )
    parser.add_argument(
        "--wait-s", type=seconds, default=20.0, metavar="S", help="try each holder so long (default: %(default)s)"
    )
    parser.add_argument(
        "--layered",
        nargs="+",
        default=[],
        metavar="IDENTITY",
        help="with --cluster heads: heads, as ORG/NAME or the folder of their identity, that share their share again "
        "among their clusters",
    )
    add_network(parser, "the cluster's dealer, enrolled if need be")
    options = parser.parse_args(argv)
    if not 1 <= options.audits <= _MOST_AUDITS:
        parser.error(f"--audits: from 1 to {_MOST_AUDITS}")
    if options.layered and options.cluster != HEADS:
        parser.error("--layered goes with --cluster heads")
    if options.profile == "article":
        note(WARNING)
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        _say(told)
    for holder, reason in told["failed"].items():
        note(f"warning: {holder} has not acknowledged: {reason}")
    return 0


def _say(told: dict[str, Any]) -> None:
    say(
        f"{told['object']} version {told['version']} stored: {len(told['acked'])} of {told['n']} holders acknowledged, "
        f"{told['needed']} had to: {', '.join(told['acked'])}"
    )
    for below in told.get("below", []):
        say(f"{below['object']} stored by {len(below['acked'])} of {below['n']} holders below")


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    data = read_bytes(options.file, MAX_OBJECT_BYTES)
    if len(data) > MAX_OBJECT_BYTES:
        raise InputError(f"{options.file}: an object has at most {MAX_OBJECT_BYTES} bytes (64 MiB); cut it up")
    name = options.name or options.file.name

    async def dealer(profile: ConnectionProfile) -> SigningIdentity:
        return await dealer_identity(profile, options.cluster)

    heads = [_identity_of(options, head).mspid for head in options.layered]
    async with opened(options, dealer) as session, _dealer(session, options) as putting:
        sending = await putting.put(
            name,
            data,
            options.cluster,
            profile=options.profile,
            readers=options.readers,
            heads=heads,
            meta=dict(map(_meta, options.meta)),
        )
        await putting.finish()
    below = [await _put_below(options, name, head) for head in options.layered]
    return sending.to_dict() | ({"below": [each.to_dict() for each in below]} if below else {})


def _dealer(session: Session, options: argparse.Namespace) -> Dealer:
    return Dealer(session, audits=options.audits, send_within_s=options.wait_s)


async def _put_below(options: argparse.Namespace, name: str, head: str) -> Sending:
    profile = load_profile(options.directory)
    async with _dealing(profile, _identity_of(options, head)) as (dealer, holder):
        try:
            sending = await layer_below(dealer.session, dealer, name, holder)
        except InputError as error:
            raise InputError(f"{head}: {why(error)}") from None
        await dealer.finish()
        return sending


def _identity_of(options: argparse.Namespace, head: str) -> SigningIdentity:
    """A head's identity, named by its folder or as ORG/NAME."""
    folder = Path(head) if Path(head).is_dir() else load_profile(options.directory).user_folder(head)
    return SigningIdentity.load(folder)


@asynccontextmanager
async def _dealing(profile: ConnectionProfile, identity: SigningIdentity) -> AsyncIterator[tuple[Dealer, str]]:
    """A dealer with a head's identity, and the head's name as a holder."""
    async with open_session(profile, identity) as session, Dealer(session) as dealer:
        x = identity.certificate.attributes.get(ID)
        found = [record async for record in session.ledger.holders() if record["id"] == x]
        if not found:
            raise InputError(f"the identity of {identity.name} is no holder's: its attribute {ID} is {x}")
        yield dealer, str(found[0]["holder"])


def _meta(item: tuple[str, str]) -> tuple[str, Any]:
    """Whole numbers stay numbers."""
    name, text = item
    return name, int(text) if _WHOLE.fullmatch(text) else text
