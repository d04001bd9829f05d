"""The merge protocol (spec section 7) as an aggregator drives it, and as another one finishes it.

The ledger knows every step by merge and group, and every step may be repeated. Nothing is remembered here that the
ledger cannot tell again, so an aggregator may die after any step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridledger.errors import GridLedgerError
from services.feeder.dvs_client import DvsClient
from services.feeder.ledger_port import is_refusal

GATHERING, OPEN, NO_GROUP = "gathering", "open", "no_group"
_ASKED, _BACK = "asked", "back"
_HANDED = ("vvc", "standing")
"""What goes from channel to channel: the list and, where the records have ``release``, what stands."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge as the ledger told it. ``number`` is None where there is none (status NO_GROUP)."""

    number: int | None
    group: str
    status: str
    components: Mapping[str, str]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Merge:
        """From the answer of any merge operation."""
        return cls(answer["merge"], answer["group"], answer["status"], answer["components"])


class Merger:
    """Carries merges from GlobalController to Close, with the certificates at hand."""

    def __init__(self, dvs: DvsClient) -> None:
        self._dvs = dvs

    async def begin(self, group: str) -> Merge:
        """GlobalController: start a merge for a single group that escalated, or extend that of a merged one."""
        return Merge.of(await self._dvs.submit_on_main(group, "GlobalController", group=group))

    async def gather(self, merge: Merge) -> Merge:
        """Lend and Adopt for each component that is asked; the merge as it stands then (OPEN, unless another acts)."""
        for name, status in merge.components.items():
            if merge.status == GATHERING and status == _ASKED:
                merge = await self._adopt(merge, name)
        return merge

    async def give_back(self, merge: Merge) -> Merge:
        """Split, Restore and Close; closed at the end."""
        parts = await self._dvs.submit_on_main(merge.group, "Split", merge=merge.number)
        merge = Merge.of(parts)
        for name, status in merge.components.items():
            if status != _BACK:
                merge = await self._close(merge, name, {key: parts[key][name] for key in _HANDED if key in parts})
        return merge

    async def standing(self, group: str) -> Merge | None:
        """The unclosed merge that a single group is in: what GlobalController answers without writing anything."""
        try:
            preview = await self._dvs.preview_on_main(group, "GlobalController")
        except GridLedgerError as error:
            if not is_refusal(error):
                raise
            return None
        return None if preview.writes or preview.payload["merge"] is None else Merge.of(preview.payload)

    async def finish(self, group: str) -> Merge | None:
        """Bring the merge that a single group is in to its end, from the ledger's answers alone; None where none is.

        Where two finish at once, the one that is refused asks again what stands.
        """
        return await self._dvs.repeat(lambda: self._finish_once(group), is_refusal)

    async def _finish_once(self, group: str) -> Merge | None:
        merge = await self.standing(group)
        return None if merge is None else await self.give_back(await self.gather(merge))

    async def _adopt(self, merge: Merge, name: str) -> Merge:
        lent, status = await self._dvs.submit(name, "Lend", merge=merge.number)
        adopted = await self._dvs.submit_on_main(
            merge.group,
            "Adopt",
            merge=merge.number,
            group=name,
            **{key: lent[key] for key in _HANDED if key in lent},
            channel=self._dvs.layout.channel_of(name),
            tx_id=status.tx_id,
        )
        return Merge.of(adopted)

    async def _close(self, merge: Merge, name: str, part: Mapping[str, Any]) -> Merge:
        _, status = await self._dvs.submit(name, "Restore", merge=merge.number, **part)
        closed = await self._dvs.submit_on_main(
            merge.group, "Close", merge=merge.number, group=name, tx_id=status.tx_id
        )
        return Merge.of(closed)
