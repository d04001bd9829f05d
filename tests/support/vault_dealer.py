"""A dealer that lies: it deals as the honest one does, but for what a test changes between the split and the ledger."""

from __future__ import annotations

from collections.abc import Callable

from services.vault.cutting import CutObject, Plan, cut_object
from services.vault.dealer import default_readers, read_cluster
from services.vault.session import Session
from services.vault.wire import PUT, Place

Falsify = Callable[[CutObject, CutObject], None]
"""Changes the first in place: the shares and manifest of the data. The second are those of other data."""


async def deal_falsely(
    session: Session, cluster: str, name: str, data: bytes, falsify: Falsify, *, audits: int = 4
) -> None:
    """Put an object of layer 2, give each holder what is said to be its share, and settle."""
    there = await read_cluster(session, cluster)
    holders = tuple((holder.name, holder.id) for holder in there.holders)
    plan = Plan(session.channel, name, 1, there.cycle, cluster, there.profile, there.t, holders)
    cut, other = (cut_object(plan, each, there.base_key, audits=audits) for each in (data, data[::-1]))
    falsify(cut, other)
    of_object = {"layer": 2, "cluster": cluster, "readers": default_readers(there), "meta": {}}
    await session.ledger.put_object({**cut.manifest, **of_object})
    for holder in there.holders:
        place = Place(plan.channel, name, 1, holder.name, plan.cycle)
        await session.calls.put(holder.url, name, 1, holder.kem_key.seal(cut.shares[holder.name], place.info(PUT)))
    await session.ledger.settle(name, 1)


def give_other_shares(*holders: str) -> Falsify:
    """These holders get shares of other data, and the manifest commits to them."""

    def falsify(cut: CutObject, other: CutObject) -> None:
        entries = {share["holder"]: number for number, share in enumerate(cut.manifest["shares"])}
        for holder in holders:
            cut.shares[holder] = other.shares[holder]
            cut.manifest["shares"][entries[holder]] = other.manifest["shares"][entries[holder]]

    return falsify
