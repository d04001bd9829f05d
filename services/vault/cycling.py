"""The next cycle: who is admitted comes in, who is revoked goes out, heads may change.

The source names LEACH for the choice of heads and does not describe it; here heads change round robin, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridledger.client.application import Answer
from gridledger.errors import ConflictError
from services.vault.cutting import HEADS
from services.vault.ledger import VaultLedger


async def begin_next(
    ledger: VaultLedger,
    *,
    rotate: bool = False,
    heads: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
) -> tuple[Answer, dict[str, str]]:
    """Begin the cycle after the present one; the cycle, and the heads that are new in it.

    A head that was revoked is followed by the next holder of its cluster; with ``rotate`` all heads are. ``heads``
    names them instead. The clusters ``without`` take no part in it, and keep their heads.
    """
    present = await ledger.get_cycle()
    number = int(present["cycle"]) + 1
    named = dict(heads or {})
    for cluster in [each async for each in ledger.clusters()]:
        name, head = str(cluster["cluster"]), cluster["head"]
        if name == HEADS or name in named or name in without:
            continue
        able = [
            str(record["holder"])
            async for record in ledger.holders(name)
            if record["revoked"] is None and record["from_cycle"] <= number
        ]
        if able and (rotate or head not in able):
            named[name] = following(able, head)
    before = {each["cluster"]: each["head"] for each in present["clusters"]}
    begun = await ledger.begin_cycle(number, named or None, without)
    return begun, {name: head for name, head in named.items() if before.get(name) != head}


def following(holders: Sequence[str], head: str | None) -> str:
    """The holder after ``head`` by name, round and round; the first one where there is no head yet."""
    if not holders:
        raise ConflictError("a cluster without holders has no head")
    ordered = sorted(holders)
    return next((name for name in ordered if head is not None and name > head), ordered[0])
