"""``gridledger case roots``: what a verifier of evidence packages trusts, as a member's own peer tells it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.cli.output import note, say, say_json
from gridledger.client import ConnectionProfile, SigningIdentity, load_profile
from gridledger.client.application import network_through
from gridledger.errors import AuthenticationError, InputError, NotFoundError, PermissionDeniedError
from gridledger.evidence.roles import KnownRoles, roles_of
from gridledger.files import write_atomically
from gridledger.protocol.block import Block
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate
from services.case.commands.network_options import add_network, identity_of, told_once
from services.case.commands.options import new_parser
from services.case.described import described_roles
from services.case.trusted import ROLES, Trusted, files_of


def main(argv: list[str]) -> int:
    """Write the folder; the exit code."""
    parser = new_parser(
        "roots",
        "Write what 'case verify' trusts into a new folder: the root certificates of all organisations, the header "
        "hash of the anchoring channel's block 0, and the network's chaincodes for anchors, devices and sections, "
        " with the SHA-256 of their packages. Peers of the user's own organisation are asked and no "
        "others: whoever tells these decides what is proved. Roots and packages are those of each channel's first and "
        "present configuration.",
        ("roots --out ROOTS", "roots --out ROOTS --peer peer-authority --user Authority/forensics-authority"),
    )
    parser.add_argument("--out", type=Path, required=True, metavar="ROOTS", help="the new folder")
    parser.add_argument("--peer", metavar="NAME", help="ask this peer (default: those of the user's organisation)")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise InputError(f"{options.out} is there already: give a new folder, so that no older root is trusted with it")
    trusted, roles = asyncio.run(_run(options))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(trusted).items():
        write_atomically(options.out / name, content)
    if options.as_json:
        roots = {mspid: len(pems) for mspid, pems in trusted.roots.items()}
        told = {"folder": str(options.out), "channel": trusted.channel, "genesis": trusted.genesis, "roots": roots}
        say_json({**told, "roles": jsontext.loads(files_of(trusted)[ROLES])})
    else:
        say(f"{options.out} has the roots of {', '.join(trusted.roots)}")
        say(f"block 0 of {trusted.channel}: {trusted.genesis}")
        for role, channel, chaincode in roles_of(roles.roles):
            packages = ", ".join(sorted(roles.packages[(channel, chaincode)])) or "unknown, so verify tells it"
            say(f"{role}: {chaincode} on {channel}, package {packages}")
    return 0


async def _run(options: argparse.Namespace) -> tuple[Trusted, KnownRoles]:
    profile = load_profile(options.directory)
    identity = await identity_of(options, profile)
    roles = described_roles(profile)
    anchoring = roles.anchoring[0]
    roots: dict[str, list[str]] = {}
    configs: dict[str, list[ChannelConfig]] = {}
    genesis = ""
    for channel in sorted(profile.channels, key=lambda name: name != anchoring):
        peers = _peers(profile, channel, identity, options.peer)
        if not peers:
            continue
        try:
            async with told_once():
                first, present = await _configurations(profile, channel, peers, identity)
        except (AuthenticationError, PermissionDeniedError) as error:
            if channel == anchoring:
                raise
            note(f"{channel} is left out: {error.message}")
            continue
        if channel == anchoring:
            genesis = first.header.hash
        configs[channel] = [ConfigUpdate.parse(first.envelopes[0]).config, present]
        for config in configs[channel]:
            _add(config, roots)
    if not genesis:
        raise NotFoundError(
            f"{identity.mspid} has no peer on {anchoring}; name one that you trust with --peer, or ask as a member "
            "that has one"
        )
    packages = {
        (channel, chaincode): _packages(configs.get(channel, ()), channel, chaincode)
        for _, channel, chaincode in roles_of(roles)
    }
    known = KnownRoles(roles, packages)
    return Trusted(dict(sorted(roots.items())), anchoring, genesis, known), known


def _packages(configs: Sequence[ChannelConfig], channel: str, chaincode: str) -> frozenset[str]:
    """The SHA-256 of a chaincode's packages in a channel's first and present configuration."""
    found = [config.chaincodes[chaincode] for config in configs if chaincode in config.chaincodes]
    if not found:
        note(f"the package of {chaincode} on {channel} is not known here")
    elif found[-1].sequence - (found[0].sequence if len(found) == len(configs) else 0) > 1:
        note(
            f"{channel} has changed its definition of {chaincode} more than once: {ROLES} has the first and the "
            "present package; for evidence that was made with one between add its SHA-256"
        )
    return frozenset(definition.package for definition in found)


def _peers(profile: ConnectionProfile, channel: str, identity: SigningIdentity, named: str | None) -> list[str]:
    """The channel's peers that are asked: those of the own organisation, or the one named."""
    known = [name for name in profile.channels[channel].peers if name in profile.peers]
    if named is not None:
        return [name for name in known if name == named]
    return [name for name in known if profile.peers[name].mspid == identity.mspid]


async def _configurations(
    profile: ConnectionProfile, channel: str, peers: Sequence[str], identity: SigningIdentity
) -> tuple[Block, ChannelConfig]:
    """Block 0 and the present configuration."""
    async with network_through(profile, channel, peers, identity) as network:
        return await network.get_block(0), await network.get_config()


def _add(config: ChannelConfig, roots: dict[str, list[Any]]) -> None:
    for mspid, msp in config.msps.msps.items():
        known = roots.setdefault(mspid, [])
        known += [root.pem for root in msp.roots if root.pem not in known]
