"""The grid, live: takes blocks from the followers, asks the ledger for what older blocks said, tells browsers.

Blocks come as they are committed. A channel's stream begins some blocks back, so that the page has a past at once, and
after a lost connection where it was: no action and no alarm is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from gridledger.errors import GridLedgerError
from gridledger.protocol.events import FullBlockEvent
from services.console.grid.alarms import Alarm
from services.console.grid.diagram import Diagram
from services.console.grid.drawing import Drawing
from services.console.grid.pictures import alarms_message, gone_message, group_message
from services.console.grid.reading import ALARMS, DVS, acknowledgement_of, amounts_of, read_block, shelf_of
from services.console.grid.state import MAX_GROUPS, ChannelState, GridState, GroupState
from services.console.grid.view import GroupView, alarms_now, bus_views, group_views
from services.console.live.hub import Hub
from services.console.viewers import Viewer, Viewers

BACK_BLOCKS: Final = 600
TICK_S: Final = 0.1
LOOK_EVERY_S: Final = 2.0
ACKNOWLEDGED_WITHIN_US: Final = 24 * 3600 * 1_000_000
_MAX_ITEMS: Final = 5000

_log = logging.getLogger(__name__)


class GridLive:
    """A block reader (:class:`~services.console.live.followers.BlockReader`), the state, its records and diagram."""

    def __init__(self, viewers: Viewers, hub: Hub, drawing: Drawing, clock_us: Callable[[], int]) -> None:
        self._viewers = viewers
        self._hub = hub
        self._clock_us = clock_us
        applications = viewers.profile.applications
        self.dvs, self.alarms = (str(applications.get(name, {}).get("chaincode", name)) for name in (DVS, ALARMS))
        self._main = str(applications.get(DVS, {}).get("main", ""))
        self.drawing = drawing
        self.state = GridState()
        self.records: dict[str, dict[str, Any]] = {}
        self._live_from: dict[str, int] = {}
        self._asked: set[tuple[str, str]] = set()
        self._told: dict[tuple[str, str], tuple[object, ...]] = {}
        self._changed: dict[str, tuple[int, object]] = {}
        self._record_channels: dict[str, str] = {}
        self._records_seen: object = None

    def wants(self, viewer: Viewer, channel: str) -> bool:
        """Channels on which ``dvs`` or ``alarms`` runs."""
        config = viewer.configs.get(channel)
        return config is not None and not {self.dvs, self.alarms}.isdisjoint(config.chaincodes)

    async def start(self, viewer: Viewer, channel: str) -> int | None:
        """The block behind the last one that was taken; at first some blocks back."""
        height = (await viewer.network(channel).get_chain_info()).height
        known = self.state.channels.get(channel)
        if known is not None and 0 < known.height <= height:
            return known.height
        if known is not None and known.height:  # the network was made anew
            del self.state.channels[channel]
            self._asked = {each for each in self._asked if each[0] != channel}
        self._live_from[channel] = height
        await self._read_shelves(viewer, channel)
        return max(0, height - BACK_BLOCKS)

    def take(self, channel: str, block: FullBlockEvent) -> None:
        """Fold a block in."""
        told = read_block(block, dvs=self.dvs, alarms=self.alarms)
        live = told.number >= self._live_from.get(channel, 0)
        now_us = self._clock_us()
        self.state.apply(told, now_us if live else min(now_us, told.timestamp_us), live=live)

    def groups(self) -> list[GroupView]:
        """All groups that are in use, now, on channels that whoever looks may read."""
        readable = self._viewers.channels
        return [view for view in group_views(self.state, self._clock_us()) if view.state.channel in readable]

    def alarms_now(self) -> list[Alarm]:
        """All alarms, now, on channels that whoever looks may read."""
        readable = self._viewers.channels
        return [alarm for alarm in alarms_now(self.state, self._clock_us()) if alarm.channel in readable]

    def channels(self) -> list[ChannelState]:
        """What is known of channels that whoever looks may read."""
        readable = self._viewers.channels
        return [self.state.channels[name] for name in sorted(self.state.channels) if name in readable]

    def record(self, group: str) -> dict[str, Any] | None:
        """The record of a single group, where whoever looks may read the channel that it was read from."""
        found = self.records.get(group)
        return found if self._record_channels.get(group) in self._viewers.channels else None

    def diagram(self) -> tuple[Diagram | None, str | None]:
        """The diagram, or why there is none: it shows all groups, so it is for those who may read all of them."""
        if not set(self._record_channels.values()) <= self._viewers.channels.keys():
            return None, "it shows groups of channels that you may not read"
        return self.drawing.diagram, self.drawing.fault

    @property
    def homes(self) -> dict[int, str]:
        """The single group of each bus that the diagram has."""
        diagram = self.drawing.diagram
        return {} if diagram is None else {bus.number: bus.group for bus in diagram.buses if bus.group}

    async def run(self) -> None:
        """Tell browsers, until this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            while True:
                self.tell()
                await asyncio.sleep(TICK_S)

    def tell(self) -> None:
        """Publish each group that has changed, and alarms, actions and merges if any has."""
        now_us = self._clock_us()
        views = group_views(self.state, now_us)
        marks = {(v.state.channel, v.state.group): (v.state.version, v.word, v.stale, v.merged_into) for v in views}
        fresh = [view for view in views if self._told.get(_key(view)) != marks[_key(view)]]
        if fresh:
            buses = bus_views(views, self.homes)
            named = Counter(view.state.group for view in views)
            for view in fresh:
                own = buses if named[view.state.group] == 1 else bus_views(_without_namesakes(views, view), self.homes)
                self._hub.publish(f"grid/{view.state.channel}/{view.state.group}", group_message(view, own, now_us))
        for channel, group in self._told.keys() - marks.keys():
            known = self.state.channel(channel).groups.get(group)
            gone = gone_message(channel, group, {} if known is None else known.standing)
            self._hub.publish(f"grid/{channel}/{group}", gone)
        self._told = dict(marks)
        self._tell_alarms(now_us)

    def _tell_alarms(self, now_us: int) -> None:
        """Each channel's own, as not everybody may read every channel."""
        alarms = alarms_now(self.state, now_us)
        for name, channel in self.state.channels.items():
            own = [alarm for alarm in alarms if alarm.channel == name]
            groups = channel.groups.values()
            changed = (
                [(each.id, each.state, each.raised_us, each.shelved, each.acknowledged) for each in own],
                channel.alarms.shelves(now_us),
                [(each.group, each.actions[-1].place) for each in groups if each.actions],
                [(note.told.number, note.told.status, note.told.group) for note in channel.merges.values()],
                len(channel.unreadable),
            )
            count, before = self._changed.get(name, (0, None))
            if changed != before:
                count += 1
                self._changed[name] = count, changed
            self._hub.publish(f"alarms/{name}", alarms_message(own, count))

    def _groups(self) -> Iterator[GroupState]:
        return self.state.groups()

    async def _look(self) -> None:
        """Ask the ledger for records, lists and acknowledgements of groups that are new here, and draw."""
        await self._viewers.looked()
        while True:
            try:
                await self._look_once()
            except GridLedgerError as error:
                _log.info("the grid's records cannot be read: %s", error.message)
            except Exception:
                _log.exception("the grid's records could not be taken")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_once(self) -> None:
        for group in list(self._groups()):
            if (group.channel, group.group) not in self._asked:
                self._asked.add((group.channel, group.group))
                await self._read_group(group)
        seen = (
            sum(each.records for each in self.state.channels.values()),
            sorted(group.group for group in self._groups()),
            tuple(self._viewers.channels),
        )
        if seen != self._records_seen or not self.records:
            self.records = await self._read_records()
            self._records_seen = seen
        if await self.drawing.follow(list(self.records.values())):
            self._hub.publish("diagram", {"made_at_us": self._clock_us()})

    async def _read_records(self) -> dict[str, dict[str, Any]]:
        """The records of all single groups that can be found: those whose frames come, and their neighbours."""
        waiting = ["1", *(group.group for group in self._groups() if "_" not in group.group)]
        channels = {group.group: group.channel for group in self._groups()}
        found: dict[str, dict[str, Any]] = {}
        tried: set[str] = set()
        while waiting and len(tried) < MAX_GROUPS:
            name = waiting.pop(0)
            if name in tried:
                continue
            tried.add(name)
            record = await self._read_record(name, channels.get(name))
            if record is not None:
                found[name] = record
                adjacent = record.get("adjacent")
                waiting += [each for each in adjacent if isinstance(each, str)] if isinstance(adjacent, list) else []
        return dict(sorted(found.items(), key=lambda item: int(item[0])))

    async def _read_record(self, group: str, channel: str | None) -> dict[str, Any] | None:
        """A group's record, from its own channel or the main one, which has all of them."""
        readable = self._viewers.channels
        for name in dict.fromkeys((channel or self._main, self._main, *readable)):
            if name not in readable or not self.wants(readable[name], name):
                continue
            try:
                record = await self._ask(readable[name], name, self.dvs, "GetGroup", {"group": group})
            except GridLedgerError:
                continue
            if isinstance(record, dict):
                self._record_channels[group] = name
                return record
        return None

    async def _read_group(self, group: GroupState) -> None:
        """What was said of a group before the blocks that were read."""
        viewer = self._viewers.channels.get(group.channel)
        if viewer is None:
            return
        try:
            told = await self._ask(viewer, group.channel, self.dvs, "GetResources", {"group": group.group})
            if not group.vvc:
                group.vvc = amounts_of(told.get("vvc"))
        except GridLedgerError as error:
            _log.info("the resources of group %s cannot be read: %s", group.group, error.message)
        config, alarms = viewer.configs.get(group.channel), self.state.channels[group.channel].alarms
        if config is None or self.alarms not in config.chaincodes:
            return
        argument = {"group": group.group, "from_us": max(0, self._clock_us() - ACKNOWLEDGED_WITHIN_US)}
        contract = viewer.network(group.channel).get_contract(self.alarms)
        for item in await contract.collect("ListAcknowledged", argument, max_items=_MAX_ITEMS):
            acknowledged = acknowledgement_of(item)
            if acknowledged is not None:
                alarms.acknowledge(acknowledged)

    async def _read_shelves(self, viewer: Viewer, channel: str) -> None:
        """What is shelved before the stream begins; its blocks tell of later changes, and again of those before."""
        config = viewer.configs.get(channel)
        if config is None or self.alarms not in config.chaincodes:
            return
        contract = viewer.network(channel).get_contract(self.alarms)
        try:
            items = await contract.collect("ListShelved", {}, max_items=_MAX_ITEMS)
        except GridLedgerError as error:
            _log.info("what is shelved on %s cannot be read: %s", channel, error.message)
            return
        for item in items:
            shelved = shelf_of(item)
            if shelved is not None:
                self.state.channel(channel).alarms.shelve(shelved)

    async def _ask(self, viewer: Viewer, channel: str, chaincode: str, function: str, argument: dict[str, Any]) -> Any:
        contract = viewer.network(channel).get_contract(chaincode)
        return await contract.evaluate_transaction(function, argument)


def _without_namesakes(views: Sequence[GroupView], view: GroupView) -> list[GroupView]:
    """All groups but those of this one's name on other channels, which not everybody may read who reads this one's."""
    return [each for each in views if each is view or each.state.group != view.state.group]


def _key(view: GroupView) -> tuple[str, str]:
    return view.state.channel, view.state.group
