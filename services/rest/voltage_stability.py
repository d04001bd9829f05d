"""The thesis's two calls between MATLAB and the ledger: ``POST /initial`` and ``POST /VSI``, with MATPOWER's rows.

``/initial`` makes the planner's records from a solved case and puts them on the ledger (InitialGrouping). ``/VSI``
sends each group's part of a measurement as a frame (ComputeVSI) and gives back the indices and what is to be injected.
Each transaction is made as the identity whose certificate the contract asks for: ``grid.role`` planner, or aggregator
with ``grid.group``. Both need the extra ``feeder``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from gridledger import jsontext
from gridledger.client import Contract, Status
from gridledger.errors import GridLedgerError, InputError
from gridledger.files import write_atomically
from services.rest import matpower
from services.rest.bodies import Body, Number
from services.rest.bridge import Bridge
from services.rest.callers import Client
from services.rest.errors import IdentityUnknown

if TYPE_CHECKING:
    from gridledger.grid.layout import Layout

GroupId = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}$")]
Rows = Annotated[list[list[Number]], Field(min_length=1, max_length=matpower.MAX_ROWS)]
MAX_GROUPS = 1000
_AT_ONCE = 32


class Grid(Body):
    """A solved case: ``bus`` with 13 columns, ``branch`` with 17, power in MW and MVAr on ``baseMVA``."""

    baseMVA: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100.0  # noqa: N815 - MATPOWER's name
    bus: Rows
    branch: Rows


class Initial(Grid):
    """The grid and its groups: bus numbers by group id, or how many groups are to be made.

    ``thresholds`` are VSI thresholds by group (default: below each group's weakest bus in this state), ``vvc`` the
    reactive power that load buses can give, in p.u., by group and bus.
    """

    name: Annotated[str, Field(max_length=64)] = "case"
    groups: dict[GroupId, Annotated[list[int], Field(min_length=1)]] | Annotated[int, Field(ge=1, le=MAX_GROUPS)] = 3
    profile: Literal["published", "corrected"] = "corrected"
    thresholds: dict[GroupId, Annotated[float, Field(ge=0, le=1)]] | None = None
    v_required: Annotated[float, Field(ge=0.5, le=2)] = 0.98
    vvc: dict[GroupId, dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]] = Field(default={})


class Measurement(Grid):
    """One measurement of the grid. ``time`` is in microseconds since 1970 (default: now), ``groups`` which to judge."""

    time: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    groups: Annotated[list[GroupId], Field(max_length=MAX_GROUPS)] | None = None


class VoltageStability:
    """Both calls. The ids of the groups are kept in ``folder``, so that ``/VSI`` need not name them."""

    def __init__(
        self, bridge: Bridge, folder: Path, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._bridge = bridge
        self._kept = folder / "groups.json"
        self._clock_us = clock_us
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def initial(self, client: Client, grid: Initial) -> dict[str, Any]:
        """Put the records of all groups, and of the pairs that can merge, on the channels that need them."""
        matpower.check_rows(grid.bus, grid.branch)
        layout = self._layout()
        records = await asyncio.to_thread(_records, grid)
        groups = {record["id"]: record for record in records if "_" not in record["id"]}
        merged = [record for record in records if "_" in record["id"]]
        places: list[tuple[str, dict[str, Any]]] = []
        statuses: list[Status] = []
        # A merged group's record reads those of its components, which must stand by then.
        for some in (groups.values(), merged):
            following = [(channel, record) for record in some for channel in layout.channels_using(record["id"])]
            statuses += await self._all(self._plan(client, layout, *place) for place in following)
            places += following
        await self._all(self._equip(client, layout, group, vvc) for group, vvc in grid.vvc.items())
        write_atomically(self._kept, jsontext.dumps(sorted(groups, key=int)))
        return {
            "groups": {name: record["members"] for name, record in groups.items()},
            "thresholds": {name: record["threshold"] for name, record in groups.items()},
            "transactions": [
                {"record": record["id"], "channel": channel, "tx_id": status.tx_id, "code_name": status.code.name}
                for (channel, record), status in zip(places, statuses, strict=True)
            ],
        }

    async def vsi(self, client: Client, measured: Measurement) -> dict[str, Any]:
        """Judge each group: ``vsi`` are rows of bus and index, ``injections`` rows of bus and MVAr.

        ``standing`` are rows of bus and MVAr: what the ledger takes to be injected now, this answer's included, in
        groups whose record has ``release``. Of others the ledger keeps no such account.
        """
        matpower.check_rows(measured.bus, measured.branch)
        layout = self._layout()
        names = measured.groups or self._groups()
        time_us = measured.time if measured.time is not None else self._clock_us()
        answers = await self._all(self._judge(client, layout, name, measured, time_us) for name in names)
        results = dict(zip(names, answers, strict=True))
        sound = [result["result"] for result in results.values() if "result" in result]
        controls = [result["control"] for result in sound if result["control"] is not None]
        entries = [entry for result in results.values() for entry in result.get("standing", ())]
        return {
            "time": time_us,
            "vsi": sorted([entry["bus"], entry["vsi"]] for result in sound for entry in result["vsi"]),
            "injections": [[control["source_bus"], control["q_mvar"]] for control in controls],
            "standing": _by_bus(entries, measured.baseMVA),
            "alarms": [result["group"] for result in sound if result["alarm"]],
            "groups": results,
        }

    async def _judge(
        self, client: Client, layout: Layout, group: str, measured: Measurement, time_us: int
    ) -> dict[str, Any]:
        """One group's result and status, or its error: one group's failure is not the others'."""
        try:
            contract = self._contract(client, layout, layout.channel_of(group), "aggregator", group)
            record = await contract.evaluate_transaction("GetGroup", {"group": group})
            frame = matpower.frame_of(record, measured.baseMVA, measured.bus, measured.branch, time_us)
            result, status = await contract.submit_with_status("ComputeVSI", frame)
        except GridLedgerError as error:
            return {"error": error.to_dict()}
        judged = {"result": result, "status": status.to_dict()}
        if "release" not in record:
            return judged
        try:
            resources = await contract.evaluate_transaction("GetResources", {"group": group})
        except GridLedgerError as error:
            return judged | {"standing_error": error.to_dict()}
        return judged | {"standing": resources["standing"]}

    async def _plan(self, client: Client, layout: Layout, channel: str, record: Mapping[str, Any]) -> Status:
        contract = self._contract(client, layout, channel, "planner")
        _, status = await contract.submit_with_status("InitialGrouping", layout.naming_msps(channel, record))
        return status

    async def _equip(self, client: Client, layout: Layout, group: str, vvc: Mapping[str, float]) -> None:
        contract = self._contract(client, layout, layout.channel_of(group), "aggregator", group)
        await contract.submit_transaction("UpdateResources", {"group": group, "vvc": dict(vvc)})

    def _contract(self, client: Client, layout: Layout, channel: str, role: str, group: str | None = None) -> Contract:
        """The contract on a channel, as an identity of a member that the contract takes for this role and group."""
        profile = self._bridge.profile
        members = {profile.peers[peer].mspid for peer in profile.channels[channel].peers}
        if group is not None:
            members &= set(layout.aggregators.get(layout.channel_of(group), members))
        elif channel in layout.planners:
            members &= {layout.planners[channel]}
        for name in client.identities:
            _, gateway = self._bridge.gateway(client, name)
            who, attributes = gateway.identity, gateway.identity.certificate.attributes
            fits = attributes.get("grid.role") == role and group in (None, attributes.get("grid.group"))
            if fits and who.mspid in members:
                return gateway.get_network(channel).get_contract(layout.chaincode)
        wanted = f"grid.role={role}" + (f" and grid.group={group}" if group else "")
        raise IdentityUnknown(
            f"{client.name} may act as nobody with {wanted} of {' or '.join(sorted(members))} on {channel}: enroll one "
            "(gridledger enroll --attribute) and add it to the bridge's identities"
        )

    async def _all(self, work: Iterable[Awaitable[Any]]) -> list[Any]:
        """All answers in order, a bounded number under way at once."""

        async def one(item: Awaitable[Any]) -> Any:
            async with self._at_once:
                return await item

        return await asyncio.gather(*(one(item) for item in work))

    def _layout(self) -> Layout:
        from gridledger.grid.layout import layout_of  # noqa: PLC0415 - needs the extra feeder

        return layout_of(self._bridge.profile)

    def _groups(self) -> list[str]:
        try:
            return [str(name) for name in jsontext.loads(self._kept.read_bytes())]
        except FileNotFoundError:
            raise InputError("groups: name the groups, or call /initial first") from None


def _by_bus(entries: Iterable[Mapping[str, Any]], base_mva: float) -> list[list[float]]:
    """Rows of bus and MVAr, of entries of what stands."""
    found: dict[int, float] = {}
    for entry in entries:
        found[entry["bus"]] = found.get(entry["bus"], 0.0) + entry["q_pu"] * base_mva
    return [[bus, q_mvar] for bus, q_mvar in sorted(found.items())]


def _records(grid: Initial) -> list[dict[str, Any]]:
    """The records that a ledger needs for this grid, made in a thread: it inverts matrices."""
    from gridledger.grid.grouping import grouping_of  # noqa: PLC0415 - needs the extra feeder
    from gridledger.grid.planning import RecordPlan, planner_for  # noqa: PLC0415
    from gridledger.grid.records import Planner  # noqa: PLC0415

    case = matpower.case_of(grid.name, grid.baseMVA, grid.bus, grid.branch)
    state = matpower.state_of(grid.bus, grid.branch)
    grouping = (
        grouping_of(case, grid.groups)
        if isinstance(grid.groups, int)
        else {name: tuple(members) for name, members in grid.groups.items()}
    )
    missing = set(case.numbers).symmetric_difference(bus for members in grouping.values() for bus in members)
    if missing:
        raise InputError(f"groups: bus {min(missing)} is in no group, or is no bus of the case")
    planner = planner_for(case, grouping, grid.profile, state)
    thresholds = {**planner.thresholds, **(grid.thresholds or {})}
    planner = Planner(case, grouping, grid.profile, thresholds, v_required=grid.v_required)
    return [planner.record(name, state) for name in RecordPlan(planner).initial()]
