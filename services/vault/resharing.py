"""Resharing: new shares of the same data under a new key, so that shares from before and after never combine.

The data pass through whoever reshares: the object's owner, or the base.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, TypeAlias

from gridledger.errors import GridLedgerError
from services.vault.dealer import Dealer, Sending
from services.vault.reader import Reader
from services.vault.records import RESHARE
from services.vault.session import Session, why

Which: TypeAlias = Literal["all", "changed"]


async def reshare(session: Session, dealer: Dealer, name: str) -> Sending:
    """Read an object and share it anew among the holders of the present cycle.

    Returns when t + spare have acknowledged; holders keep the version before until then.
    """
    read = await Reader(session).get(name, RESHARE)
    told = await session.ledger.get_object(name)
    cluster, newest = str(told["cluster"]), int(told["newest"])
    profile = read.manifest.profile
    return await dealer.reshare(name, read.data, cluster, version=newest + 1, profile=profile, read=read.read)


async def reshare_each(session: Session, dealer: Dealer, which: Which) -> AsyncIterator[dict[str, Any]]:
    """Reshare all objects that are stored, or those with a holder that was revoked or has another id (``changed``).

    Gives for each {object, version} or {object, error}; a failure does not keep the others from it.
    """
    names = [item["object"] async for item in session.ledger.objects() if item["stored"] and not item["abandoned"]]
    for name in names:
        try:
            if which == "changed" and not (await session.ledger.get_health(name))["reshare_due"]:
                continue
            sending = await reshare(session, dealer, name)
        except GridLedgerError as error:
            yield {"object": name, "error": why(error)}
        else:
            yield {"object": name, "version": sending.version}
