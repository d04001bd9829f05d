"""A vault from its description: the clusters are set, holders admitted, a cycle begun. Again is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from gridledger.client.application import Answer
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, UnavailableError
from services.vault.cutting import HEADS
from services.vault.described import DescribedCluster, DescribedVault, mspid_of
from services.vault.ledger import VaultLedger
from services.vault.session import NO_BASE_KEY, refused

_POLL_S: Final = 0.3
_AT_ONCE: Final = 8


async def set_up(ledger: VaultLedger, profile: ConnectionProfile, vault: DescribedVault, *, wait_s: float) -> Answer:
    """Do what is not done yet, as the base: {base, clusters: {name: set | unchanged}, admitted, cycle, begun}.

    Waits up to ``wait_s`` for the base's record and for the holders that are named to join; raises
    :class:`UnavailableError` naming those that do not.
    """
    deadline = asyncio.get_running_loop().time() + wait_s
    base = await _base(ledger, deadline)
    clusters = {
        name: await _set_cluster(ledger, profile, name, vault.clusters[name])
        for name in sorted(vault.clusters, key=lambda name: (name == HEADS, name))
    }
    wanted = [holder for cluster in vault.clusters.values() for holder in cluster.holders]
    admitted = await admit_all(ledger, await _joined(ledger, wanted, deadline))
    cycle, begun = await _begin(ledger, vault)
    return {"base": base, "clusters": clusters, "admitted": admitted, "cycle": cycle, "begun": begun}


async def admit_all(ledger: VaultLedger, holders: Sequence[str]) -> list[str]:
    """Admit holders that have joined, a few at a time."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(holder: str) -> str:
        async with at_once:
            await ledger.admit(holder)
        return holder

    return list(await asyncio.gather(*map(one, holders)))


async def present_cycle(ledger: VaultLedger) -> Answer | None:
    """The present cycle; None before the first one."""
    try:
        return await ledger.get_cycle()
    except GridLedgerError as error:
        if refused(error, "cycle"):
            return None
        raise


async def _base(ledger: VaultLedger, deadline: float) -> Answer:
    while True:
        try:
            base = await ledger.get_base()
        except GridLedgerError as error:
            if not refused(error):
                raise
            base = {}
        if base.get("kem_key"):
            return {"mspid": base["mspid"], "url": base["url"]}
        if asyncio.get_running_loop().time() > deadline:
            raise UnavailableError(NO_BASE_KEY)
        await asyncio.sleep(_POLL_S)


async def _set_cluster(ledger: VaultLedger, profile: ConnectionProfile, name: str, wanted: DescribedCluster) -> str:
    known: Answer | None = None
    try:
        known = await ledger.get_cluster(name)
    except GridLedgerError as error:
        if not refused(error):
            raise
    same = known is not None and all(known[field] == getattr(wanted, field) for field in ("t", "spare", "profile"))
    if same:
        return "unchanged"
    mspid = None if wanted.organisation is None else mspid_of(profile, wanted.organisation)
    await ledger.set_cluster(name, wanted.t, wanted.profile, wanted.spare, mspid=mspid)
    return "set"


async def _joined(ledger: VaultLedger, wanted: Sequence[str], deadline: float) -> list[str]:
    """Those of the holders that wait to be admitted, once all have joined or were admitted before."""
    while True:
        waiting = {str(item["holder"]) async for item in ledger.joins()}
        admitted = {str(item["holder"]) async for item in ledger.holders()}
        missing = [holder for holder in wanted if holder not in waiting | admitted]
        if not missing:
            return [holder for holder in wanted if holder in waiting]
        if asyncio.get_running_loop().time() > deadline:
            raise UnavailableError(
                f"{len(missing)} of {len(wanted)} holders have not joined: {', '.join(missing)}. Start them "
                "(gridledger up NETWORK --with vault) and call set-up again; their logs say what keeps them"
            )
        await asyncio.sleep(_POLL_S)


async def _begin(ledger: VaultLedger, vault: DescribedVault) -> tuple[int, bool]:
    present = await present_cycle(ledger)
    if present is not None:
        return int(present["cycle"]), False
    heads = {name: cluster.head for name, cluster in vault.clusters.items() if cluster.head is not None}
    begun: dict[str, Any] = await ledger.begin_cycle(1, heads)
    return int(begun["cycle"]), True
