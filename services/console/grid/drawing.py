"""Having a diagram made by a process of its own, and which one is shown now."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError
from services.console.grid.diagram import Diagram, plan_of_records

TIMEOUT_S: Final = 60.0
_MAX_ANSWER: Final = 8 * 1024 * 1024
_NO_MODULE: Final = b"ModuleNotFoundError"

_log = logging.getLogger(__name__)

Record = Mapping[str, Any]


class Drawing:
    """The diagram of the case in ``case``, else of the records. ``fault`` says why there is none."""

    def __init__(self, case: Path | None) -> None:
        self._case = case
        self._made_of: object = None
        self._base: Diagram | None = None
        self.diagram: Diagram | None = None
        self.fault: str | None = None

    async def follow(self, records: Sequence[Record]) -> bool:
        """Make the diagram that these records want; whether it is another one than before."""
        before = self.diagram, self.fault
        try:
            await self._make(records)
        except GridLedgerError as error:
            self.fault = error.message
        return (self.diagram, self.fault) != before

    async def _make(self, records: Sequence[Record]) -> None:
        plan = plan_of_records(records)
        wanted: object = str(self._case) if self._case is not None else (plan.kinds, plan.branches)
        if wanted != self._made_of:
            if self._case is None and not records:
                raise InputError("no record of a group is on the ledger yet: the feeder submits them when it starts")
            self._made_of = wanted
            self._base, self.fault = None, None
            asked = {"case": str(self._case)} if self._case is not None else {"records": _short(records)}
            self._base = await _made(asked)
        if self._base is not None:
            self.diagram, self.fault = _with_groups(self._base, plan.groups), None


async def _made(asked: Mapping[str, Any]) -> Diagram:
    """Ask the process; :class:`InputError` says why there is no diagram."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.console.grid.making",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_MAX_ANSWER,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer, said = await process.communicate(jsontext.dumps(asked))
    except TimeoutError:
        raise InputError(f"the diagram took longer than {TIMEOUT_S:.0f} s to lay out") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        if _NO_MODULE in said:
            raise InputError("the diagram of this file needs pip install 'gridledger[feeder]'")
        _log.error("the diagram could not be made: %s", said.decode(errors="replace")[-2000:])
        raise InputError("the diagram could not be made; the console's log says why")
    told = jsontext.loads(answer)
    if "error" in told:
        raise InputError(told["error"])
    return Diagram.from_dict(told)


def _with_groups(diagram: Diagram, groups: Mapping[int, str]) -> Diagram:
    """The same with the groups that the records give."""
    buses = tuple(replace(bus, group=groups.get(bus.number, "")) for bus in diagram.buses)
    lines = tuple(replace(line, tie=groups.get(line.f, "") != groups.get(line.t, "")) for line in diagram.lines)
    return replace(diagram, buses=buses, lines=lines)


def _short(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The members of records of which a diagram is made."""
    names = ("id", "members", "dim", "nm", "kind", "branches")
    return [{name: record[name] for name in names} for record in records]
