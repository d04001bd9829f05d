"""Channels with the contract ``dvs`` that outlive the processes that use them, and callers whose process may die.

A transaction is committed before ``submit`` returns, as with the SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gridledger.client import CommitError, EndorseError, Status
from gridledger.client.profile import ConnectionProfile
from gridledger.contract import ClientIdentity
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.contract.simulator.simulator import Invocation
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.grid.grouping import components
from gridledger.grid.layout import Layout
from gridledger.protocol.codes import TxValidationCode
from services.feeder.dvs_client import DvsClient
from services.feeder.ledger_port import Ledger, Preview
from tests.support.dvs_channel import TIME_US, DvsChannel


class World:
    """The channels of a layout, and a log of the transactions on them: channel, function, payload.

    ``on_commit`` is called after each transaction.
    """

    def __init__(self, layout: Layout, groups: Iterable[str] = ("1", "2", "3")) -> None:
        self.layout = layout
        self.groups = tuple(groups)
        self.channels = {name: DvsChannel() for name in layout.channels}
        self.log: list[tuple[str, str, Any]] = []
        self.on_commit: Callable[[], object] = lambda: None

    @property
    def main(self) -> DvsChannel:
        """The channel of merges."""
        return self.channels[self.layout.main]

    def channel_of(self, group: str) -> DvsChannel:
        """The channel of a group."""
        return self.channels[self.layout.channel_of(group)]

    def submit(
        self, channel: str, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE
    ) -> tuple[Any, Status]:
        """One transaction; raises the SDK's error where the contract refuses."""
        payload = payload_of(self.channels[channel].ask(function, argument, caller))
        self.log.append((channel, function, payload))
        self.on_commit()
        return payload, Status(f"tx-{len(self.log)}", TxValidationCode.VALID, len(self.log), "")

    def owned(self) -> float:
        """VVC that is left, wherever it is, p.u."""
        return sum(sum(self.owned_by(group).values()) for group in self.groups)

    def owned_by(self, group: str) -> dict[str, float]:
        """What is left of a group's VVC: with the group, under way, or with a merge."""
        stored = self.channel_of(group).stored(f"vvc/{group}")
        if stored is None:
            return {}
        own: dict[str, float] = stored["vvc"]
        if stored["lent"] is None:
            return dict(own)
        # What is at buses that were none of the group's load buses when it lent stays with it.
        assert own.keys().isdisjoint(stored["lent"]["vvc"]), "a list is owned by one place at a time"
        lent = self._lent_by(group, stored)
        return {bus: own.get(bus, 0.0) + lent.get(bus, 0.0) for bus in sorted({*own, *lent}, key=int)}

    def _lent_by(self, group: str, stored: dict[str, Any]) -> dict[str, float]:
        merge = self.main.stored(f"merge/{stored['lent']['merge']}")
        component = merge["components"][group]
        if component["status"] == "asked":
            return dict(stored["lent"]["vvc"])
        if "part" in component:
            return dict(component["part"])
        joined = self.main.stored(f"vvc/{merge['group']}")["vvc"]
        return {bus: joined[bus] for bus in component["lent"]["vvc"]}

    def left(self, group: str) -> dict[str, float]:
        """The sum of a group's list by channel, p.u., where it is stored; fails the test where one is lent."""
        found = {}
        for name, channel in self.channels.items():
            stored = channel.stored(f"vvc/{group}")
            if stored is not None:
                assert stored["lent"] is None
                found[name] = sum(stored["vvc"].values())
        return found

    def unclosed_merges(self) -> dict[str, int]:
        """By group, the number of the unclosed merge that it is in; fails the test where the contract's index errs."""
        index = self.main.stored("merge/0") or {"last": 0, "groups": {}}
        found: dict[str, int] = {}
        for number in range(1, index["last"] + 1):
            merge = self.main.stored(f"merge/{number}")
            assert tuple(merge["components"]) == components(merge["group"])
            in_use = self.main.stored(f"vvc/{merge['group']}")
            if merge["status"] != "closed":
                found |= dict.fromkeys(merge["components"], number)
                assert merge["status"] == "open" or in_use is None or in_use["vvc"] == {}
        assert found == index["groups"]
        assert list(index["groups"]) == sorted(index["groups"], key=int)
        return found


def payload_of(answer: Invocation) -> Any:
    """The payload of an answer; raises the SDK's error for a refusal."""
    if not answer.successful:
        raise EndorseError("refused", GridLedgerError(answer.message, code="CHAINCODE_REFUSED", status=400))
    return answer.payload


def conflict() -> CommitError:
    """The SDK's error for a transaction that met a concurrent one: nothing was written."""
    return CommitError("conflict", TxValidationCode.MVCC_READ_CONFLICT, 1)


class Died(Exception):
    """The caller's process ended here."""


@dataclass
class Life:
    """How long a process lives, and what goes wrong on the way.

    ``die_after``: transactions after which it dies, before it sends another one; where ``deaf``, before it learns of
    the last one's commit. ``faults``: errors raised instead of submitting, by function, each once. ``lost``: errors
    raised after the commit, by function, each once: the answer got lost.
    """

    die_after: int | None = None
    deaf: bool = False
    faults: dict[str, list[GridLedgerError]] = field(default_factory=dict)
    lost: dict[str, list[GridLedgerError]] = field(default_factory=dict)
    submitted: int = 0

    def before(self, function: str) -> None:
        """Called before each transaction."""
        if self.die_after is not None and self.submitted >= self.die_after:
            raise Died(function)
        _raise_next(self.faults, function)

    def after(self, function: str) -> None:
        """Called after each commit."""
        self.submitted += 1
        if self.deaf and self.submitted == self.die_after:
            raise Died(function)
        _raise_next(self.lost, function)


def _raise_next(errors: Mapping[str, list[GridLedgerError]], function: str) -> None:
    waiting = errors.get(function)
    if waiting:
        raise waiting.pop(0)


class Caller:
    """One identity, as ``Ledger``; a member of ``channels``, or of all."""

    def __init__(
        self, world: World, life: Life, *, mspid: str = "Org1MSP", channels: tuple[str, ...] = (), **attributes: str
    ) -> None:
        self._world = world
        self._life = life
        self._channels = channels
        grid = {f"grid.{name}": value for name, value in attributes.items()}
        self._identity = ClientIdentity(id=str(grid), mspid=mspid, attributes=grid)

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        self._check_member(channel)
        self._life.before(function)
        committed = self._world.submit(channel, function, argument, self._identity)
        self._life.after(function)
        return committed

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        return (await self.preview(channel, function, argument)).payload

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        self._check_member(channel)
        answer = self._world.channels[channel].preview(function, argument, self._identity)
        return Preview(payload_of(answer), bool(answer.writes))

    def _check_member(self, channel: str) -> None:
        if self._channels and channel not in self._channels:
            raise NotFoundError(f"this caller is no member of channel {channel}")


class Certificates:
    """A planner, and an aggregator of each group, as ``Callers``; all of one process.

    An aggregator is of the MSP that the layout names first for its channel, and a member of that and the main one.
    """

    def __init__(self, world: World, life: Life | None = None, layout: Layout | None = None) -> None:
        life, layout = life or Life(), layout or world.layout
        self._world, self._life = world, life
        self._planner = Caller(world, life, role="planner")
        self._aggregators = {group: self._aggregator(layout, group) for group in world.groups}

    def planner(self, channel: str) -> Ledger:
        return self._planner

    def aggregator(self, group: str) -> Ledger:
        name = components(group)[0]
        if name not in self._aggregators:
            raise NotFoundError(f"no certificate of group {name}")
        return self._aggregators[name]

    async def following(self, profile: ConnectionProfile, layout: Layout, group: str) -> Certificates:
        self._life.before("following")
        other = Certificates(self._world, self._life, layout)
        other._aggregators = {**self._aggregators, group: other._aggregators[group]}
        return other

    def _aggregator(self, layout: Layout, group: str) -> Caller:
        channel = layout.channel_of(group)
        mspid = next(iter(layout.aggregators.get(channel, ())), "Org1MSP")
        return Caller(
            self._world, self._life, mspid=mspid, channels=(channel, layout.main), role="aggregator", group=group
        )


@dataclass
class FakeClock:
    """Time that passes when it is read or slept."""

    us: int = TIME_US

    def now_us(self) -> int:
        self.us += 1000
        return self.us

    async def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


def dvs_client(
    world: World, life: Life | None = None, clock: FakeClock | None = None, layout: Layout | None = None
) -> DvsClient:
    """The client of one process; where the layout has changed since the world was made, with that of now."""
    layout = layout or world.layout
    return DvsClient(layout, Certificates(world, life, layout), clock or FakeClock(), Random(7))
