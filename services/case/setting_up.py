"""Forensics from a description: the authority is founded, the light nodes' devices are registered and admitted.

Again is harmless: what is done already stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from gridledger.client.application import Answer
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import ConflictError, GridLedgerError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import ConnectionFailed
from services.case.described import (
    authority_identity,
    described_forensics,
    investigator_identity,
    registrar_identity,
)
from services.case.ledger import RegistryLedger, cases_ledger, registry_ledger, section_ledger
from services.case.light_nodes import HeldDevice, LightNode, held_devices

REFUSED: Final = "CHAINCODE_REFUSED"
"""The code of the contracts' refusals."""

_POLL_S: Final = 0.3
_AT_ONCE: Final = 8


async def set_up(profile: ConnectionProfile, nodes: Sequence[LightNode], *, wait_s: float) -> Answer:
    """Do what is not done yet: {authority, founded: [chaincode], devices: [{device, section, lightnode, done}]}.

    ``done``: registered, admitted (where the registry had it) or unchanged. Waits up to ``wait_s`` for light nodes to
    answer; raises :class:`UnavailableError` naming one that does not.
    """
    founded, mspid = await found_authority(profile)
    deadline = asyncio.get_running_loop().time() + wait_s
    devices: list[dict[str, Any]] = []
    for node in nodes:
        registrar = await registrar_identity(profile, node.organisation)
        held = await _held(profile, node, registrar, deadline)
        devices += await register_all(profile, registrar, node, held)
    return {"authority": mspid, "founded": founded, "devices": devices}


async def found_authority(profile: ConnectionProfile) -> tuple[list[str], str]:
    """Make the description's authority that of the registry and of the cases, with its investigators: the chaincodes
    where something was set, and the authority's MSP. Raises :class:`ConflictError` where another organisation came
    before."""
    identity = await authority_identity(profile)
    investigators = (await investigator_identity(profile)).mspid
    forensics = described_forensics(profile)
    founded = []
    async with registry_ledger(profile, identity) as registry, cases_ledger(profile, identity) as cases:
        known = await known_or_none(registry.get_authority)
        _refuse_other(forensics.devices.chaincode, known, identity.mspid)
        if known is None:
            await registry.set_authority()
            founded.append(forensics.devices.chaincode)
        known = await known_or_none(cases.get_authority)
        _refuse_other(forensics.chaincode, known, identity.mspid)
        if known is None or known["investigators"] != investigators:
            await cases.set_authority(investigators)
            founded.append(forensics.chaincode)
    return founded, identity.mspid


def _refuse_other(chaincode: str, known: Answer | None, mspid: str) -> None:
    if known is not None and known["mspid"] != mspid:
        raise ConflictError(
            f"the authority of {chaincode} is {known['mspid']}, not {mspid} as the network's description says: its "
            "first SetAuthority was another organisation's"
        )


async def register_all(
    profile: ConnectionProfile, registrar: SigningIdentity, node: LightNode, held: Sequence[HeldDevice]
) -> list[dict[str, Any]]:
    """Register a light node's devices, and admit each on its section, a few at a time."""
    at_once = asyncio.Semaphore(_AT_ONCE)
    async with registry_ledger(profile, registrar) as registry:

        async def one(device: HeldDevice) -> dict[str, Any]:
            async with at_once:
                done = await register(profile, registrar, registry, device)
            return {"device": device.device, "section": device.section, "lightnode": node.name, "done": done}

        return list(await asyncio.gather(*map(one, held)))


async def register(
    profile: ConnectionProfile, registrar: SigningIdentity, registry: RegistryLedger, device: HeldDevice
) -> str:
    """Register a device where it is not, and admit it on its section where it is not: registered, admitted or
    unchanged.

    Raises :class:`ConflictError` where the registry has another organisation's device, or another key, of this name.
    """
    record = await known_or_none(lambda: registry.get_device(device.device))
    is_new = record is None
    if record is None:
        record = await registry.register_device(device.registration)
    if (record["mspid"], record["proof_key"]) != (registrar.mspid, device.proof_key):
        raise ConflictError(
            f"the registry has a device {device.device} of {record['mspid']} with another key than its light node "
            "holds: rotate its key (gridledger case device rotate), or give one of them another name"
        )
    if record["status"] != "active":
        raise ConflictError(f"the device {device.device} is {record['status']}; it takes another name, and a new key")
    async with section_ledger(profile, registrar, device.section) as section:
        if await known_or_none(lambda: section.get_device(device.device)) is not None:
            return "unchanged"
        await section.admit_device(device.device, registrar.mspid, device.proof_key, record["tx"])
    return "registered" if is_new else "admitted"


async def known_or_none(read: Callable[[], Awaitable[Answer]]) -> Answer | None:
    """What a query answers; None where the contract refuses, as it has no such thing."""
    try:
        return await read()
    except GridLedgerError as error:
        if error.code != REFUSED:
            raise
    return None


async def _held(
    profile: ConnectionProfile, node: LightNode, registrar: SigningIdentity, deadline: float
) -> list[HeldDevice]:
    while True:
        try:
            return await held_devices(profile, node, registrar)
        except ConnectionFailed as error:
            if asyncio.get_running_loop().time() > deadline:
                raise UnavailableError(
                    f"the light node {node.name} does not answer at {node.url} ({error.message}). Start it: "
                    "gridledger up NETWORK --with forensics"
                ) from None
        await asyncio.sleep(_POLL_S)
