"""``gridledger case device``: the registry of devices, as their organisations' registrars change it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gridledger.cli.output import note, say, say_fields, say_json, say_table, time_text
from gridledger.client import ConnectionProfile, SigningIdentity, load_profile
from gridledger.errors import NotFoundError
from services.case.commands.network_options import (
    add_directory,
    add_json,
    add_limit,
    add_network,
    first_user,
    identity_of,
    told_once,
    up_to,
)
from services.case.commands.options import new_parser
from services.case.described import organisation_of, registrar_identity
from services.case.ledger import RegistryLedger, registry_ledger
from services.case.light_nodes import LightNode, held_devices, light_node, next_key
from services.case.setting_up import register_all

_REGISTRAR = "the registrar of the device's organisation, enrolled if need be"


def main(argv: list[str]) -> int:
    """Do something with devices; the exit code."""
    steps: dict[str, Callable[[list[str]], int]] = {
        "list": _list,
        "show": _show,
        "register": _register,
        "rotate": _rotate,
        "retire": _retire,
        "revoke": _revoke,
    }
    parser = new_parser(
        "device",
        "The registry of devices. register: those that a light node holds. rotate: another key for one, which its "
        "light node makes and proves. retire, revoke: it says nothing any more, for good; revoke where its key may be "
        "known to others, so that what it said shortly before is marked.",
        (
            "device list --section section-home",
            "device register --lightnode home-1",
            "device rotate meter-7 --lightnode home-1",
            "device revoke meter-7 --reason 'found opened'",
            "device revoke meter-7 --reason 'found opened' --user Authority/forensics-authority",
        ),
    )
    parser.add_argument("step", choices=tuple(steps), help="what is done; 'device STEP --help' tells its options")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    return steps[options.step](options.rest)


def _list(argv: list[str]) -> int:
    parser = new_parser("device list", "List devices, by name.", ())
    for one in ("section", "type"):
        parser.add_argument(f"--{one}", metavar="NAME", help=f"of this {one}")
    parser.add_argument("--status", choices=("active", "retired", "revoked"), help="of this status")
    add_limit(parser)
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    items, more = asyncio.run(_listed(options))
    if options.as_json:
        say_json({"items": items, "more": more})
    else:
        fields = ("device", "type", "section", "status", "mspid", "site", "vendor", "model")
        say_table(fields, (tuple(item[field] for field in fields) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


async def _listed(options: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    async with _opened(options) as registry:
        found = registry.devices(section=options.section, type=options.type, status=options.status)
        return await up_to(options.limit, found)


def _show(argv: list[str]) -> int:
    parser = new_parser("device show", "Show a device as the registry has it.", ())
    parser.add_argument("device", metavar="DEVICE", help="its name")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    told = asyncio.run(_shown(options))
    if options.as_json:
        say_json(told)
        return 0
    fields = ("section", "status", "mspid", "site", "vendor", "model", "key_number", "proof_key", "certificate_sha256")
    say_fields({"device": f"{told['device']}, {told['type']}", **{field: told[field] for field in fields}})
    if told["revoked"]:
        say_fields({"revoked": f"{time_text(told['revoked']['time_us'])}: {told['revoked']['reason']}"})
    return 0


async def _shown(options: argparse.Namespace) -> dict[str, Any]:
    async with _opened(options) as registry:
        return await registry.get_device(options.device)


def _register(argv: list[str]) -> int:
    parser = new_parser("device register", "Register devices that a light node holds, and admit them.", ())
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="which of them (default: all)")
    _add_light_node(parser)
    options = parser.parse_args(argv)
    done = asyncio.run(_registered(options))
    if options.as_json:
        say_json({"devices": done})
    else:
        say_table(("device", "section", "done"), ((each["device"], each["section"], each["done"]) for each in done))
    return 0


async def _registered(options: argparse.Namespace) -> list[dict[str, Any]]:
    profile, node, registrar = await _at_light_node(options)
    async with told_once():
        held = await held_devices(profile, node, registrar)
        if missing := sorted(set(options.devices) - {each.device for each in held}):
            there = ", ".join(each.device for each in held) or "none"
            raise NotFoundError(f"the light node {node.name} holds no {', '.join(missing)}; it holds: {there}")
        wanted = [each for each in held if not options.devices or each.device in options.devices]
        return await register_all(profile, registrar, node, wanted)


def _rotate(argv: list[str]) -> int:
    parser = new_parser("device rotate", "Give a device another key, which its light node makes and proves.", ())
    parser.add_argument("device", metavar="DEVICE", help="its name")
    _add_light_node(parser)
    options = parser.parse_args(argv)
    record = asyncio.run(_rotated(options))
    told = "its section takes it over from an anchor agent within seconds"
    return _say(options, record, f"{record['device']} has key {record['key_number']}; {told}")


async def _rotated(options: argparse.Namespace) -> dict[str, Any]:
    profile, node, registrar = await _at_light_node(options)
    async with told_once(), registry_ledger(profile, registrar) as registry:
        rotation = await next_key(profile, node, registrar, options.device)
        return await registry.rotate_key(rotation.argument)


def _retire(argv: list[str]) -> int:
    parser = new_parser("device retire", "Retire a device, for good; what it said stands.", ())
    parser.add_argument("device", metavar="DEVICE", help="its name")
    add_network(parser, _REGISTRAR)
    options = parser.parse_args(argv)
    record = asyncio.run(_ended(options, None))
    return _say(options, record, f"{record['device']} is retired")


def _revoke(argv: list[str]) -> int:
    parser = new_parser(
        "device revoke", "Revoke a device, for good, by its own organisation's registrar or by the authority.", ()
    )
    parser.add_argument("device", metavar="DEVICE", help="its name")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands on the ledger")
    add_network(parser, _REGISTRAR)
    options = parser.parse_args(argv)
    record = asyncio.run(_ended(options, options.reason))
    return _say(options, record, f"{record['device']} is revoked; its section stops it within seconds")


async def _ended(options: argparse.Namespace, reason: str | None) -> dict[str, Any]:
    profile = load_profile(options.directory)

    async def registrar(profile: ConnectionProfile) -> SigningIdentity:
        async with registry_ledger(profile, await first_user(profile)) as registry:
            mspid = (await registry.get_device(options.device))["mspid"]
        return await registrar_identity(profile, organisation_of(profile, mspid))

    async with told_once():
        identity = await identity_of(options, profile, registrar)
        async with registry_ledger(profile, identity) as registry:
            if reason is None:
                return await registry.retire(options.device)
            return await registry.revoke(options.device, reason)


def _add_light_node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lightnode", required=True, metavar="NAME", help="the light node that holds it")
    add_directory(parser)
    add_json(parser)


async def _at_light_node(options: argparse.Namespace) -> tuple[ConnectionProfile, LightNode, SigningIdentity]:
    profile = load_profile(options.directory)
    node = light_node(options.directory, options.lightnode)
    return profile, node, await registrar_identity(profile, node.organisation)


@asynccontextmanager
async def _opened(options: argparse.Namespace) -> AsyncIterator[RegistryLedger]:
    profile = load_profile(options.directory)
    identity = await identity_of(options, profile)
    async with told_once(), registry_ledger(profile, identity) as registry:
        yield registry


def _say(options: argparse.Namespace, record: dict[str, Any], text: str) -> int:
    if options.as_json:
        say_json(record)
    else:
        say(text)
    return 0
