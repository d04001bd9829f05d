"""Layer 1 with a second layer below it: a head shares its share of a layer 1 object again among its cluster.

The object of the second layer is called ``OBJECT.HEAD`` (``oil.m1-head``). A reader who does not get a head's share
from the head gets it from t of the head's sensors. The head itself does it, with its own identity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from gridledger.errors import ConflictError, GridLedgerError, NotFoundError
from gridledger.sharing import commitment
from services.vault.cutting import HEADS
from services.vault.dealer import Dealer, Sending
from services.vault.errors import TooFewAnswered
from services.vault.reader import Read, Reader
from services.vault.records import Manifest
from services.vault.session import Session, refused
from services.vault.transport import PrivateKey

_LONGEST_NAME: Final = 64
LAYERED: Final = "layered"
"""The member of ``meta`` that says whose share an object holds."""


def name_below(name: str, head: str) -> str:
    """The name of the object that holds a head's share; :class:`ConflictError` where it is too long."""
    made = f"{name}.{head}"
    if len(made) > _LONGEST_NAME:
        raise ConflictError(f"{made} has more than {_LONGEST_NAME} characters: give {name} a shorter name")
    return made


async def layer_below(session: Session, dealer: Dealer, name: str, head: str) -> Sending:
    """Share the share that ``head``, whose identity the session has, holds of a layer 1 object among its cluster."""
    told = await session.ledger.get_object(name)
    if told["cluster"] != HEADS:
        raise ConflictError(
            f"{name} is of the cluster {told['cluster']}: only objects over the heads have a layer below"
        )
    cluster = str((await session.ledger.get_holder(head))["record"]["cluster"])
    share = await own_share(session, name, head)
    meta = {LAYERED: name, "version": int(told["version"]), "holder": head}
    return await dealer.put(name_below(name, head), share, cluster, readers=str(told["readers"]), meta=meta)


async def own_share(session: Session, name: str, holder: str) -> bytes:
    """A holder's share of an object, as the holder serves it to a reader that its object's policy allows."""
    reader = Reader(session)
    grant = await reader.request(name, f"layer below {holder}")
    found = next((each for each in grant.holders if each["holder"] == holder), None)
    if found is None:
        raise NotFoundError(f"{holder} holds no share of {name}")
    served = await reader.serve(grant, found, PrivateKey.generate())
    if served.share is None:
        raise TooFewAnswered(name, 1, [], {holder: served.why})
    return served.share


async def get_layered(session: Session, name: str, purpose: str) -> Read:
    """Read a layer 1 object; where fewer than t heads serve, take the missing heads' shares from their clusters."""
    reader = Reader(session)
    try:
        return await reader.get(name, purpose)
    except TooFewAnswered as error:
        others = list(error.details["others"])
    manifest = Manifest.of(await session.ledger.get_object(name))
    found = await _from_below(session, manifest, others, purpose)
    if not found:
        raise ConflictError(f"{name} has no layer below that could be read; its heads' failures were told before")
    return await reader.get(name, purpose, version=manifest.version, known=found)


async def _from_below(session: Session, manifest: Manifest, heads: Sequence[str], purpose: str) -> dict[str, bytes]:
    """The shares of these heads, read from below and checked by their roots."""

    async def one(head: str) -> tuple[str, bytes] | None:
        try:
            below = name_below(manifest.object, head)
            told: dict[str, Any] = await session.ledger.get_object(below)
            if told["meta"].get("version") != manifest.version:
                return None
            share = (await Reader(session).get(below, purpose)).data
        except GridLedgerError as error:
            if refused(error) or isinstance(error, TooFewAnswered | ConflictError):
                return None
            raise
        right = await asyncio.to_thread(commitment.root, share)
        return (head, share) if right.hex() == manifest.shares[head].root else None

    return dict(found for found in await asyncio.gather(*map(one, heads)) if found is not None)
