"""Putting a chaincode on a channel: install its package on every peer, then change the channel's configuration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.contract import packaging
from gridledger.contract.loader import ChaincodeLoadError
from gridledger.errors import InputError, NotFoundError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.config_changes import change_config
from gridledger.network.endorsement import check_can_be_met
from gridledger.protocol import ChaincodeDefinition, ChannelConfig
from gridledger.transport.node_client import NodeClient

DEFAULT_POLICY = "MAJORITY(all)"
INSTALLED_WITHIN_S = 60.0
SERVED_WITHIN_S = 30.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


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

    The admins of all organisations with a peer on the channel install, and as many sign as are needed. A chaincode that
    is there already gets the next sequence; its policy stays unless another one is given (a new one's is a majority of
    the peers).

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
    nodes = {peer: NodeClient.to(profile.way_to(peer), _admin(profile, entry)) for peer, entry in peers.items()}

    def with_chaincode(current: ChannelConfig) -> ChannelConfig:
        definition = _definition(current, name, packaging.package_id(package), policy, version)
        changed = current.with_chaincodes({**current.chaincodes, name: definition})
        # A configuration may hold a policy that only peers which are still to come can meet; this is none.
        owners = [node.mspid for node in changed.peers.values()]
        check_can_be_met(changed.endorsement_policy(name), channel, changed.organisations, owners)
        return changed

    try:
        install = partial(_install, nodes, package, name)
        changed = await change_config(profile, channel, with_chaincode, prepare=install, within_s=SERVED_WITHIN_S)
    finally:
        await asyncio.gather(*(node.close() for node in nodes.values()))
    definition = changed.config.chaincodes[name]
    if changed.behind:
        raise UnavailableError(
            f"{', '.join(changed.behind)} does not serve {name} at sequence {definition.sequence} after "
            f"{SERVED_WITHIN_S:g} s: look at gridledger status, and wait until it has caught up"
        )
    return definition


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


def _admin(profile: ConnectionProfile, entry: NodeEntry) -> SigningIdentity:
    return SigningIdentity.load(profile.user(entry.organisation, "admin"))
