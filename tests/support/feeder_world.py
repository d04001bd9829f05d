"""The feeder's logic on the real contract in process: channels in memory, certificates, and a caller who may die.

case30 and its real power flow. A transaction is committed before ``submit`` returns, as with the SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from gridledger import jsontext
from gridledger.client import CommitError, EndorseError, Status
from gridledger.contract import ClientIdentity
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.grid.grouping import components
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid
from gridledger.grid.records import Profile
from gridledger.protocol.codes import TxValidationCode
from services.feeder.coordinator import Coordinator
from services.feeder.dvs_client import DvsClient
from services.feeder.layout import Layout
from services.feeder.ledger_port import Ledger, Preview
from services.feeder.record_submitter import RecordSubmitter
from services.feeder.scenario_runner import ScenarioRunner
from tests.support.solved_grid import planner, power_flow

DVS = Path(__file__).parents[2] / "chaincode" / "dvs"
TIME_US = 1_767_225_600_000_000
SHARDED = Layout("mainchain", ("shard1", "shard2", "shard3"))
SINGLE = Layout("grid", ("grid",))
GROUPS = ("1", "2", "3")


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(DVS)


def conflict() -> CommitError:
    """A transaction met a concurrent one: nothing was written."""
    return CommitError("tx", TxValidationCode.MVCC_READ_CONFLICT, 1)


class Died(Exception):
    """The aggregator's process ended here."""


@dataclass
class FakeClock:
    """Time that passes when it is read or slept."""

    us: int = TIME_US

    def now_us(self) -> int:
        self.us += 1000
        return self.us

    async def sleep(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


@dataclass
class World:
    """What outlives every aggregator: the channels and the transactions on them."""

    layout: Layout
    channels: dict[str, Simulator] = field(default_factory=dict)
    log: list[tuple[str, str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.layout.channels:
            self.channels[name] = Simulator(chaincode())

    def state(self, channel: str, key: str) -> Any:
        """A value of the world state, None where there is none."""
        stored = self.channels[channel].state.get("", key)
        return None if stored is None else jsontext.loads_trusted(stored.value)

    def owned(self) -> float:
        """VVC that is left, wherever it is: with its group, under way, or with a merge. p.u."""
        return sum(self._owned_by(group) for group in GROUPS)

    def _owned_by(self, group: str) -> float:
        stored = self.state(self.layout.channel_of(group), f"vvc/{group}")
        if stored is None:
            return 0.0
        if stored["lent"] is None:
            return float(sum(stored["vvc"].values()))
        assert stored["vvc"] == {}, "a list is owned by one place at a time"
        merge = self.state(self.layout.main, f"merge/{stored['lent']['merge']}")
        component = merge["components"][group]
        if component["status"] == "asked":
            return float(sum(stored["lent"]["vvc"].values()))
        if "part" in component:
            return float(sum(component["part"].values()))
        joined = self.state(self.layout.main, f"vvc/{merge['group']}")["vvc"]
        return float(sum(joined[bus] for bus in component["lent"]["vvc"]))


Interfere = Callable[[str, str, Mapping[str, Any]], Exception | None]
"""Called before (``submit``) each transaction: an exception is raised instead of submitting."""


class Caller:
    """One identity, as ``Ledger``. ``die_after`` counts down over all callers of one process."""

    def __init__(self, world: World, attributes: Mapping[str, str], life: Life) -> None:
        self._world = world
        self._life = life
        self._identity = ClientIdentity(id=str(attributes), mspid="Org1MSP", attributes=attributes)

    async def submit(self, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        fault = self._life.before(function, argument)
        if fault is not None:
            raise fault
        answer = self._invoke(self._world.channels[channel], function, argument)
        tx_id = f"tx-{len(self._world.log) + 1}"
        self._world.log.append((channel, function, answer.payload))
        lost = self._life.after(function)
        if lost is not None:
            raise lost
        return answer.payload, Status(tx_id, TxValidationCode.VALID, len(self._world.log), "")

    async def evaluate(self, channel: str, function: str, argument: Mapping[str, Any]) -> Any:
        return (await self.preview(channel, function, argument)).payload

    async def preview(self, channel: str, function: str, argument: Mapping[str, Any]) -> Preview:
        copy = MemoryState.from_bytes(self._world.channels[channel].state.to_bytes())
        answer = self._invoke(Simulator(chaincode(), copy), function, argument)
        return Preview(answer.payload, bool(answer.writes))

    def _invoke(self, simulator: Simulator, function: str, argument: Mapping[str, Any]) -> Invocation:
        answer = simulator.invoke(function, argument, caller=self._identity, time_us=TIME_US)
        if not answer.successful:
            raise EndorseError("refused", GridLedgerError(answer.message, code="CHAINCODE_REFUSED", status=400))
        return answer


@dataclass
class Life:
    """How long a process lives, and what goes wrong on the way.

    ``die_after``: transactions after which it dies, before it sends another one; where ``deaf``, before it hears of the
    last one's commit. ``faults``: errors raised instead of submitting, by function, each once. ``lost``: errors raised
    after the commit, by function, each once: the answer got lost.
    """

    die_after: int | None = None
    deaf: bool = False
    faults: dict[str, list[GridLedgerError]] = field(default_factory=dict)
    lost: dict[str, list[GridLedgerError]] = field(default_factory=dict)
    submitted: int = 0

    def before(self, function: str, _argument: Mapping[str, Any]) -> Exception | None:
        if self.die_after is not None and self.submitted >= self.die_after:
            return Died(function)
        waiting = self.faults.get(function)
        return waiting.pop(0) if waiting else None

    def after(self, function: str) -> Exception | None:
        self.submitted += 1
        if self.deaf and self.submitted == self.die_after:
            return Died(function)
        waiting = self.lost.get(function)
        return waiting.pop(0) if waiting else None


class Certificates:
    """A planner, and aggregators of ``groups``, as ``Callers``."""

    def __init__(self, world: World, life: Life | None = None, groups: Iterable[str] = GROUPS) -> None:
        life = life or Life()
        self._planner = Caller(world, {"grid.role": "planner"}, life)
        self._aggregators = {
            group: Caller(world, {"grid.role": "aggregator", "grid.group": group}, life) for group in groups
        }

    def planner(self, channel: str) -> Ledger:
        return self._planner

    def aggregator(self, group: str) -> Ledger:
        name = components(group)[0]
        if name not in self._aggregators:
            raise NotFoundError(f"no certificate of group {name}")
        return self._aggregators[name]


def dvs_client(world: World, clock: FakeClock, life: Life | None = None) -> DvsClient:
    """A client of one process that lives as long as ``life`` says."""
    return DvsClient(world.layout, Certificates(world, life), clock, Random(7))


def scenario_runner(
    world: World, profile: Profile = "corrected", life: Life | None = None, clock: FakeClock | None = None
) -> ScenarioRunner:
    """A runner on case30."""
    clock = clock or FakeClock()
    return ScenarioRunner(planner(profile), power_flow(), dvs=dvs_client(world, clock, life), clock=clock)


def coordinator(world: World, plant: Plant, clock: FakeClock, life: Life | None = None) -> Coordinator:
    """An aggregator's process that knows nothing yet; the plant is the physical one."""
    dvs = dvs_client(world, clock, life)
    records = RecordSubmitter(planner("corrected"), dvs, clock)
    return Coordinator(GROUPS, plant=plant, records=records, dvs=dvs, clock=clock)


def plant() -> Plant:
    """case30 in its base state."""
    return Plant(Grid(power_flow()), planner("corrected").area)
