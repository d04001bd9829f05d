"""``/VSI`` on the contract in process: what is injected, taken back, and stands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridledger.grid.case import load_case
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import Planner
from gridledger.grid.rules import Release
from services.rest.voltage_stability import Measurement, VoltageStability
from tests.support.dvs_channel import TIME_US, DvsChannel
from tests.support.matpower_rows import branch_rows, bus_rows
from tests.support.solved_grid import planner

GROUP, BUS = "1", 3
SECOND = 1_000_000


class Contract:
    """The contract's calls as the SDK makes them."""

    def __init__(self, channel: DvsChannel) -> None:
        self._channel = channel

    async def evaluate_transaction(self, function: str, argument: Any) -> Any:
        answer = self._channel.preview(function, argument)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    async def submit_with_status(self, function: str, argument: Any) -> tuple[Any, Any]:
        return self._channel.call(function, argument), SimpleNamespace(to_dict=lambda: {"code_name": "VALID"})


class InProcess(VoltageStability):
    """The bridge's call, every group on one channel."""

    def __init__(self, channel: DvsChannel, folder: Path) -> None:
        super().__init__(None, folder)  # type: ignore[arg-type]
        self._on = channel

    def _layout(self) -> Any:
        return SimpleNamespace(channel_of=lambda _group: "main")

    def _contract(self, *_: Any) -> Any:
        return Contract(self._on)


@pytest.mark.parametrize("release", [None, Release(v_max=1.05, margin=0.01, hold_s=1.0, dv_max=0.02)])
async def test_what_stands_is_passed_on_where_the_record_has_release(tmp_path: Path, release: Release | None) -> None:
    grid = Grid(PowerFlow(load_case("case30")))
    base, ours = grid.state(), planner("corrected")
    made = Planner(ours.case, ours.grouping, "corrected", ours.thresholds, release=release)
    channel = DvsChannel()
    channel.call("InitialGrouping", made.record(GROUP, base))
    channel.call("UpdateResources", {"group": GROUP, "vvc": {str(bus): 1.5 for bus in made.area(GROUP).load_buses}})
    bridge = InProcess(channel, tmp_path)

    async def judged(seconds: int) -> dict[str, Any]:
        state = grid.state()
        measured = Measurement(
            bus=bus_rows(ours.case, state),
            branch=branch_rows(ours.case, state),
            time=TIME_US + seconds * SECOND,
            groups=[GROUP],
        )
        answer = await bridge.vsi(None, measured)  # type: ignore[arg-type]
        assert "error" not in answer["groups"][GROUP], answer
        for bus, q_mvar in answer["injections"]:
            grid.inject(bus, q_mvar)
        return answer

    assert (await judged(0))["standing"] == []
    grid.set_loads({BUS: (52.8, 26.4)})
    channel.call("InitialGrouping", made.record(GROUP, grid.state()))
    injected = await judged(1)
    ((bus, q_mvar),) = injected["injections"]
    assert (bus, q_mvar > 0.0) == (BUS, True)
    assert ("standing" in injected["groups"][GROUP]) == (release is not None)
    if release is None:
        assert injected["standing"] == []
        return
    assert injected["standing"] == [[BUS, pytest.approx(q_mvar)]]
    grid.set_loads({BUS: (2.4, 1.2)})
    channel.call("InitialGrouping", made.record(GROUP, grid.state()))
    released = await judged(10)
    ((bus, back),) = released["injections"]
    assert (bus, back < 0.0) == (BUS, True)
    assert released["standing"] == [[BUS, pytest.approx(q_mvar + back)]]
