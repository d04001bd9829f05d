"""The operator: carries commands out on a stream that runs. A command that fails has changed nothing."""

from __future__ import annotations

import asyncio

import numpy as np

from gridledger.errors import GridLedgerError, InputError
from services.feeder.control.commands import (
    USAGE,
    Command,
    MergeGroup,
    ScaleLoads,
    SetLoad,
    SetVvc,
    Simple,
    SplitMerge,
    SwitchLine,
    parse,
)
from services.feeder.live_stream import LiveStream
from services.feeder.scenario_file.events import branch_told, check_load_bus
from services.feeder.schedule import Change, LineChange, LoadChange, VvcChange

BY_HAND = "by hand"


class GridOperator:
    """Answers commands, one after the other."""

    def __init__(self, stream: LiveStream) -> None:
        self._stream = stream
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, line: str) -> str:
        """What became of a command, in one line. Raises GridLedgerError where it cannot be carried out."""
        command = parse(line)
        async with self._one_at_a_time:
            return await self._do(command)

    async def _do(self, command: Command) -> str:
        if isinstance(command, Simple):
            return self._simple(command.name)
        if isinstance(command, MergeGroup):
            return await self._merge(command.group)
        if isinstance(command, SplitMerge):
            return await self._split(command.group)
        change = self._change(command)
        await self._stream.carry_out(change)
        return change.title

    def _change(self, command: Command) -> Change:
        at_s, plant = self._stream.clock.at_s, self._stream.plant
        if isinstance(command, SetLoad):
            plant.demand(command.bus)
            title = f"{BY_HAND}: bus {command.bus} at {command.p_mw:g} + j{command.q_mvar:g} MVA"
            values = np.asarray([(command.p_mw, command.q_mvar)])
            return LoadChange(at_s, title, (command.bus,), values, values)
        if isinstance(command, ScaleLoads):
            buses, where = self._scaled(command)
            values = np.asarray([plant.demand(bus) for bus in buses]) * command.factor
            return LoadChange(at_s, f"{BY_HAND}: the loads of {where} times {command.factor:g}", buses, values, values)
        if isinstance(command, SetVvc):
            check_load_bus(self._stream.planner.case, command.bus)
            title = f"{BY_HAND}: {command.mvar:g} MVAr at bus {command.bus}"
            return VvcChange(at_s, title, {command.bus: command.mvar})
        if isinstance(command, SwitchLine):
            self._stream.planner.case.branch(*command.branch)
            title = f"{BY_HAND}: {branch_told(command.branch)} {'trips' if command.out else 'is closed'}"
            return LineChange(at_s, title, command.branch, command.out)
        raise InputError("that is no change of the grid")

    def _scaled(self, command: ScaleLoads) -> tuple[tuple[int, ...], str]:
        planner = self._stream.planner
        if command.group is not None:
            if command.group not in planner.grouping:
                raise InputError(f"there is no group {command.group}; there are {', '.join(planner.grouping)}"[:200])
            return tuple(planner.grouping[command.group]), f"group {command.group}"
        if command.buses:
            return command.buses, f"buses {', '.join(map(str, command.buses))}"
        return planner.case.numbers, "the grid"

    async def _merge(self, group: str) -> str:
        if group not in self._stream.planner.grouping:
            raise InputError(f"there is no group {group}")
        merged = await self._stream.coordinator.merge_by_hand(group)
        return self._noted(f"groups {merged} merge, until they are split")

    async def _split(self, group: str) -> str:
        await self._stream.coordinator.split_by_hand(group)
        return self._noted(f"the merge {group} ends")

    def _simple(self, name: str) -> str:
        clock = self._stream.clock
        if name == "status":
            return self.status()
        if name == "help":
            return "; ".join(USAGE.values())
        if name == "pause":
            return self._noted("the stream pauses") if clock.pause() else "the stream is paused already"
        if name == "resume":
            return self._noted("the stream goes on") if clock.resume() else "the stream is not paused"
        clock.end()
        return self._noted("the stream ends")

    def _noted(self, text: str) -> str:
        told = f"{BY_HAND}: {text}"
        self._stream.note("control", told)
        return told

    def status(self) -> str:
        """The stream and the grid in one line."""
        stream, plant = self._stream, self._stream.plant
        sent, valid = stream.counts()
        state, case = plant.state(), plant.case
        low = int(np.argmin(state.vm))
        standing = sum(plant.standing.values())
        out = [branch_told((f, t, 1)) for f, t in self._outages()]
        return (
            f"{stream.clock.at_s:.1f} s{' (paused)' if stream.clock.paused else ''}: {sent} frames sent, "
            f"{valid} committed; measured: {', '.join(stream.coordinator.measured)}; lowest voltage "
            f"{state.vm[low]:.4f} at bus {case.numbers[low]}; {standing:.3f} MVAr stand"
            + (f"; out: {', '.join(out)}" if out else "")
        )

    def _outages(self) -> list[tuple[int, int]]:
        base = self._stream.plant.grid.power_flow.case
        return [base.ends(position) for position in sorted(self._stream.plant.grid.outages)]


async def answered(operator: GridOperator, line: str) -> tuple[bool, str]:
    """Whether a command was carried out, and the line to tell."""
    try:
        return True, await operator.answer(line)
    except GridLedgerError as error:
        return False, f"error: {error.message}"
