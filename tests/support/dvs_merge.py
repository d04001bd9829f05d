"""The world of the four groups: merge operations one by one, and an aggregator that finishes what another left."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from itertools import combinations
from typing import Any, TypeVar

from gridledger.grid.layout import Layout
from services.feeder.merging import Merge, Merger
from tests.support.dvs_channel import full_list
from tests.support.dvs_grid import GROUPS, loads, record
from tests.support.dvs_world import Life, World, dvs_client

RECORDS = ["_".join(some) for n in range(1, len(GROUPS) + 1) for some in combinations(GROUPS, n)]
ACCEPTABLE_ROUNDING = 1e-9
SINGLE = Layout("grid", ("grid",))
SHARDED = Layout("main", tuple(f"shard{number}" for number in range(1, 11)))

_T = TypeVar("_T")


class FourGroups(World):
    """All records on the main channel, each group's on its own; all the same channel where ``single``."""

    def __init__(self, single: bool, **rules: Any) -> None:
        """``rules``: optional members of every record."""
        super().__init__(SINGLE if single else SHARDED, GROUPS)
        for name in RECORDS:
            self.main.call("InitialGrouping", record(name, **rules))
        for group in () if single else GROUPS:
            self.channel_of(group).call("InitialGrouping", record(group, **rules))

    def provide(self, group: str, amount: float) -> None:
        """UpdateResources: ``amount`` p.u. at every load bus."""
        self.channel_of(group).call("UpdateResources", {"group": group, "vvc": full_list(loads(group), amount)})

    def on_main(self, function: str, **argument: Any) -> Any:
        """The payload of an operation on the main channel."""
        return self.submit(self.layout.main, function, argument)[0]

    def on_own(self, group: str, function: str, **argument: Any) -> tuple[Any, str]:
        """Payload and transaction id of an operation on a group's channel."""
        payload, status = self.submit(self.layout.channel_of(group), function, {"group": group, **argument})
        return payload, status.tx_id

    def adopt(self, group: str, merge: int, lent: Any, tx_id: str) -> Any:
        """Adopt what a Lend moved out: its answer."""
        channel = self.layout.channel_of(group)
        return self.on_main("Adopt", merge=merge, group=group, **handed(lent), channel=channel, tx_id=tx_id)


def handed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What goes from channel to channel of an answer: the list and, if there, what stands."""
    return {name: answer[name] for name in ("vvc", "standing") if name in answer}


def standing_merge(world: World, group: str) -> Merge | None:
    """The unclosed merge that a group is in."""
    return completed(Merger(dvs_client(world)).standing(group))


def finish(world: World, group: str, life: Life | None = None) -> None:
    """Brings the merge that ``group`` is in to its end; raises Died where the process does not live that long."""
    merger = Merger(dvs_client(world, life))
    merge = completed(merger.standing(group))
    if merge is not None:
        completed(merger.give_back(completed(merger.gather(merge))))


def completed(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")
