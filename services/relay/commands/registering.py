"""What ``register`` and ``update`` share: the operator who submits a record, and what a refusal says of the file."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say, say_json
from gridledger.client import EndorseError
from gridledger.client.application import peers_of
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import InputError, NotFoundError
from services.relay.commands.options import add_json, add_network, new_parser
from services.relay.commands.record_file import RecordFile, read_record
from services.relay.commands.relay_address import place_of, why_silent
from services.relay.ledger import RelayLedger, application_of, operator_identity, relay_ledger

_FIELD: Final = re.compile(r"([A-Za-z_]+(?:\.[A-Za-z0-9_-]+|\[[0-9]+\])*)(?=:)")


def run(name: str, argv: list[str]) -> int:
    """Register a relay, or put its record anew (``name`` is ``update``)."""
    parser = new_parser(
        name,
        "Register a relay on the ledger, from a YAML file with the members of its record."
        if name == "register"
        else "Put a relay's whole record anew, from a YAML file. Only the organisation that registered it may.",
        (
            f"{name} network-config/relays/rele1.yaml",
            f"{name} rele1.yaml --address http://10.0.0.7:5010 --as Server5004",
        ),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the registration")
    parser.add_argument("--address", metavar="URL", help="where the relay is, in place of what the file says")
    parser.add_argument(
        "--as",
        dest="organisation",
        metavar="ORG",
        help="the operator's organisation, whose registrar (in the network's folder) enrols relay-operator "
        "(default: that of the channel's first peer)",
    )
    add_network(parser)
    add_json(parser)
    options = parser.parse_args(argv)
    file = read_record(options.file)
    if options.address is not None:
        file.record["address"] = options.address
    host, port = _place(file, options)
    stored = asyncio.run(_submit(name, load_profile(options.directory), options.organisation, file, options.file))
    if options.as_json:
        say_json(stored)
    else:
        did = "registered" if name == "register" else "updated"
        say(f"relay {stored['relay']} is {did}: revision {stored['revision']}, operator {stored['operator_msp']}")
        note(f"whether servers read it: gridledger relay status --relay {stored['relay']}")
    if (why := asyncio.run(why_silent(host, port))) is not None:
        note(f"warning: nobody answers at {stored['address']} from here ({why}); what counts is what its servers reach")
    return 0


def _place(file: RecordFile, options: argparse.Namespace) -> tuple[str, int]:
    """Where the relay is read; :class:`InputError` for an address of no use, with the line of the file that has it."""
    try:
        return place_of(file.record)
    except InputError as error:
        if options.address is not None:
            raise InputError(f"--{error.message}") from None
        raise InputError(f"{options.file}: {with_line(error.message, file)}") from None


async def _submit(
    name: str, profile: ConnectionProfile, organisation: str | None, file: RecordFile, path: Path
) -> dict[str, Any]:
    operator = await operator_identity(profile, organisation or _first_organisation(profile))
    async with relay_ledger(profile, operator) as ledger:
        check_servers(file, path, (await ledger.network.get_config()).organisations)
        try:
            return await _call(name, ledger, file.record)
        except EndorseError as error:
            if error.code != "CHAINCODE_REFUSED":
                raise
            raise InputError(f"{path}: {with_line(error.message, file)}") from None


def check_servers(file: RecordFile, path: Path, members: Iterable[str]) -> None:
    """Refuse a server of an MSP that is no member of the channel: the contract cannot see who is, and nobody could
    speak as that server. ``members``: the MSPs of the channel's organisations."""
    known = sorted(members)
    for index, server in enumerate(file.record["servers"]):
        if server["mspid"] not in known:
            told = f"servers[{index}].mspid: {server['mspid']} is no member of the channel; members: {', '.join(known)}"
            raise InputError(f"{path}: {with_line(told, file)}")


async def _call(name: str, ledger: RelayLedger, record: dict[str, Any]) -> dict[str, Any]:
    return await (ledger.register_relay(record) if name == "register" else ledger.update_relay(record))


def _first_organisation(profile: ConnectionProfile) -> str:
    channel, _ = application_of(profile)
    for name in peers_of(profile, channel, ""):
        if profile.peers[name].organisation in profile.ca.organisations:
            return profile.peers[name].organisation
    raise NotFoundError("the network's CA has no organisation with a peer on the channel: name one with --as")


def with_line(message: str, file: RecordFile) -> str:
    """A refusal of the contract, ``field: why``, with the line that the field has in the file."""
    found = _FIELD.match(message)
    line = file.line_of(found[1].replace("[", ".").replace("]", "")) if found else None
    return message if found is None or line is None else f"{found[1]}, line {line}{message[found.end() :]}"
