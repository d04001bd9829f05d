"""Putting a chaincode on a channel: install its package on every peer, then change the channel's configuration."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

from gridledger.backoff import Backoff
from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.client.queries import read_config
from gridledger.contract import packaging
from gridledger.contract.loader import ChaincodeLoadError
from gridledger.errors import GridLedgerError, InputError, NotFoundError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.endorsement import check_can_be_met
from gridledger.protocol import ChaincodeDefinition, ChannelConfig, ConfigUpdate
from gridledger.transport.node_client import NodeClient

DEFAULT_POLICY = "MAJORITY(all)"
INSTALLED_WITHIN_S = 60.0
SERVED_WITHIN_S = 30.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5


async def deploy_chaincode(
    profile: ConnectionProfile,
    folder: Path,
    channel: str,
    *,
    name: str | None = None,
    policy: str | None = None,
    version: str | None = None,
) -> ChaincodeDefinition:
    """Deploy the chaincode in ``folder``; the definition that now holds, served by every peer of the channel.

    The admins of all organisations with a peer on the channel install and sign. A chaincode that is there already gets
    the next sequence; its policy stays unless another one is given (a new one's is a majority of the peers).

    Nothing is deployed where a peer cannot load the package (ChaincodeLoadError), or where the policy names an unknown
    organisation or more peers than the channel has (:class:`InputError`).
    """
    if channel not in profile.channels:
        raise NotFoundError(f"there is no channel {channel!r}; there are: {', '.join(sorted(profile.channels))}")
    name = name or folder.absolute().name  # noqa: ASYNC240 - no disk is touched
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a chaincode: 1 to 64 letters, digits, '.', '_' and '-', a letter first; give one "
            "with --name"
        )
    package = packaging.pack(folder)
    peers = {peer: profile.peers[peer] for peer in profile.channels[channel].peers}
    admins = {entry.organisation: _admin(profile, entry) for entry in peers.values()}
    nodes = {peer: NodeClient.to(profile.way_to(peer), admins[entry.organisation]) for peer, entry in peers.items()}
    try:
        first = next(iter(nodes.values()))
        current = await read_config(first, channel)
        definition = _definition(current, name, packaging.package_id(package), policy, version)
        changed = current.with_chaincodes({**current.chaincodes, name: definition})
        following = replace(changed, sequence=current.sequence + 1)
        # A configuration may hold a policy that only peers which are still to come can meet; this is none.
        owners = [node.mspid for node in following.peers.values()]
        check_can_be_met(following.endorsement_policy(name), channel, following.organisations, owners)
        following.check()
        await _install(nodes, package, name)
        update = ConfigUpdate.build(following, list(admins.values()), time_us=time.time_ns() // 1000)
        await first.post("/gateway/submit", update.to_bytes(), params={"wait": "order"})
        await asyncio.gather(*(_served(node, peer, channel, definition) for peer, node in nodes.items()))
        return definition
    finally:
        await asyncio.gather(*(node.close() for node in nodes.values()))


def _definition(
    current: ChannelConfig, name: str, package_id: str, policy: str | None, version: str | None
) -> ChaincodeDefinition:
    before, sequence = current.chaincodes.get(name), current.next_sequence(name)
    if before is None:
        return ChaincodeDefinition(name, sequence, version or "1.0", package_id, policy or DEFAULT_POLICY)
    return ChaincodeDefinition(name, sequence, version or before.version, package_id, policy or before.policy)


async def _install(nodes: Mapping[str, NodeClient], package: bytes, name: str) -> None:
    """Install on every peer; where peers cannot load the package, one error says why, and on which."""
    work = (node.post("/packages", package, timeout_s=INSTALLED_WITHIN_S) for node in nodes.values())
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    reasons: dict[str, list[str]] = {}
    for peer, outcome in zip(nodes, outcomes, strict=True):
        if isinstance(outcome, ChaincodeLoadError):
            reasons.setdefault(outcome.message, []).append(peer)
    if reasons:
        said = "; ".join(f"{', '.join(peers)}: {message}" for message, peers in reasons.items())
        raise ChaincodeLoadError(f"{name} cannot be loaded by {said}")
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _served(node: NodeClient, peer: str, channel: str, definition: ChaincodeDefinition) -> None:
    """Wait until a peer's configuration has the definition."""
    deadline = time.monotonic() + SERVED_WITHIN_S
    backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
    while time.monotonic() < deadline:
        try:
            config = await read_config(node, channel)
        except GridLedgerError:
            config = None
        if config is not None and config.chaincodes.get(definition.name) == definition:
            return
        await asyncio.sleep(backoff.failed())
    raise UnavailableError(
        f"{peer} does not serve {definition.name} at sequence {definition.sequence} after {SERVED_WITHIN_S:g} s; "
        "another update of the configuration may have come first: look at gridledger status, then deploy again"
    )


def _admin(profile: ConnectionProfile, entry: NodeEntry) -> SigningIdentity:
    return SigningIdentity.load(profile.user(entry.organisation, "admin"))
