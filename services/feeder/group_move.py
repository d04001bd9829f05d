"""The move of a group to another channel while frames stream: its record, its VVC list, then its frames.

    before      the group's record and an empty list on the new channel; all frames go on
    apart       the group leaves its merge and is not measured; its frames on their way end, its actions are carried out
    list        what is left is set on the new channel, then nothing on the old one
    record      the main channel's record names the aggregators of the new channel
    after       frames go on, on the new channel

The list is on the new channel before it is taken from the old one, so a crash loses nothing. In between it is on both;
nobody uses either then, and setting it again sets the same, so nothing is doubled: :func:`gather_lists` does that at
the next start. From the first write of the list on the move only goes forward, for the old list may be nothing already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, NotFoundError, TimeoutExceeded
from gridledger.grid.plant import Plant
from gridledger.grid.records import Record
from services.feeder.clock import Clock
from services.feeder.coordinator import Coordinator
from services.feeder.dvs_client import DvsClient
from services.feeder.frames_in_flight import FramesInFlight
from services.feeder.ledger_port import is_conflict, is_refusal
from services.feeder.record_submitter import RecordSubmitter

FRAMES_END_WITHIN_S = 30.0
_AGAIN_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was done. ``held_s``: for how long the group was not measured; ``vvc``: what it took along, p.u."""

    group: str
    old: str
    new: str
    held_s: float
    vvc: float


class GroupMover:
    """Moves groups of one stream. ``dvs`` is the stream's client, which a moved group's frames go through."""

    def __init__(
        self,
        *,
        coordinator: Coordinator,
        records: RecordSubmitter,
        plant: Plant,
        dvs: DvsClient,
        frames: FramesInFlight,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.dvs = dvs
        self.groups = coordinator.groups
        self.held: list[tuple[float, float]] = []
        """When groups were apart, by time.perf_counter: frames of merges that they left may have conflicted then."""
        self._coordinator = coordinator
        self._records = records
        self._plant = plant
        self._frames = frames
        self._clock = clock
        self._tell = tell

    async def move(self, group: str, new: DvsClient) -> Moved:
        """Move a single group to the channel that it has in ``new``.

        Raises GridLedgerError where it cannot begin; the group then goes on where it was.
        """
        old = self.dvs.copy()
        await self._submit_record(new, new.layout.channel_of(group), group)
        # Now, so that the group waits for less, and so that a refusal comes while it can still stay.
        await new.submit(group, "UpdateResources", vvc={})
        begun = time.perf_counter()
        try:
            resources = await self._move_apart(group, old, new)
        finally:
            self.held.append((begun, time.perf_counter()))
        channels = old.layout.channel_of(group), new.layout.channel_of(group)
        return Moved(group, *channels, time.perf_counter() - begun, sum(resources["vvc"].values()))

    async def _move_apart(self, group: str, old: DvsClient, new: DvsClient) -> Any:
        """What is done while the group is not measured; its resources on the new channel."""
        async with self._coordinator.apart(group):
            if not await self._frames.ended(group, FRAMES_END_WITHIN_S):
                raise TimeoutExceeded(f"frames of group {group} are on their way for {FRAMES_END_WITHIN_S:g} s")
            await self._coordinator.loop(group).catch_up()
            await self._submit_record(new, new.layout.channel_of(group), group)
            resources = await self._go_forward(group, old, new)
            self._plant.start_counting(group, resources["actions"])
            self.dvs.go_on_as(new)
        return resources

    async def _go_forward(self, group: str, old: DvsClient, new: DvsClient) -> Any:
        """Carry the list and tell the main channel, again until both are done; the group's resources then."""
        told = False
        while True:
            try:
                resources = await carry_list(group, old, new)
                await self._submit_record(new, new.layout.main, group)
            except GridLedgerError as error:
                if not told:
                    self._tell(f"group {group} waits between two channels, it is tried again: {error}")
                told = True
                await self._clock.sleep(_AGAIN_AFTER_S)
            else:
                return resources

    async def _submit_record(self, dvs: DvsClient, channel: str, group: str) -> None:
        await dvs.submit_record(channel, self._records.record(group, self._plant))


async def carry_list(group: str, old: DvsClient, new: DvsClient) -> Any:
    """Set what is left on the old channel on the new one, then nothing on the old one; the resources on the new one.

    Can be cut short at any step and repeated; where nothing is left on the old channel, the new one's list stands.
    """

    async def carry() -> Any:
        answer = await old.query(group, "GetResources")
        if _has_any(answer):
            left = {name: answer[name] for name in ("vvc", "standing") if name in answer}
            nothing: dict[str, Any] = {"standing": []} if "standing" in left else {}
            await new.submit(group, "UpdateResources", **left)
            await old.submit_once(group, "UpdateResources", vvc={}, **nothing)
        return await new.query(group, "GetResources")

    # All of it: what it conflicted with may have changed what is left.
    return await new.repeat(carry, lambda error: is_conflict(error.code))


async def gather_lists(
    groups: Iterable[str], dvs: DvsClient, profile: ConnectionProfile, record_of: Callable[[str], Record]
) -> list[tuple[str, str]]:
    """End moves that were cut short: carry what groups have left on other channels to their own; group and channel.

    The records there are replaced first: they may be of another case, whose buses the own channel does not know.
    """
    found = []
    for group in groups:
        for channel in dvs.layout.channels:
            if channel != dvs.layout.channel_of(group) and await _has_list(dvs, channel, group):
                there = dvs.layout.placing({group: channel})
                old = dvs.elsewhere(there, await dvs.callers.following(profile, there, group))
                await old.submit_record(channel, record_of(group))
                await carry_list(group, old, dvs)
                found.append((group, channel))
    return found


async def _has_list(dvs: DvsClient, channel: str, group: str) -> bool:
    try:
        answer = await dvs.query_as_planner(channel, "GetResources", group=group)
    except NotFoundError:
        return False
    except GridLedgerError as error:
        if not is_refusal(error):
            raise
        return False
    return _has_any(answer)


def _has_any(resources: Any) -> bool:
    """Whether a group has anything left, or standing, on a channel."""
    return any(resources["vvc"].values()) or bool(resources.get("standing"))
