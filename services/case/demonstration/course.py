"""The demonstration's course: what is done one after the other, what must hold in each step, and what came of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridledger.demonstration.steps import Steps
from gridledger.errors import UnavailableError
from services.case.demonstration import forging, grid, investigating, playing, proving, results, sounding
from services.case.demonstration.stage import RealClock, Stage
from services.case.described import authority_identity
from services.case.examining import Read
from services.case.replay.judging import Judged
from services.case.replay.pmus import MovingGrid
from services.case.replay.story import Story
from services.case.replay.ukraine2015 import parameters
from services.case.report.dossier import Dossier, Packed
from services.case.rows import Row
from services.case.rules.catalogue import Examined, examine
from services.case.rules.finding import Finding
from services.case.rules.gps import NAME, gps_rule
from services.case.setting_up import set_up
from services.case.trusted import read_trusted

PACKAGE: Final = "case.zip"
ROOTS: Final = "roots"
_SET_UP_WAIT_S: Final = 120.0
_AFTER_S: Final = 2.0
"""How long after the story's end its rows are read."""
_LAST_BATCH_S: Final = 6.0 * grid.BATCH_S
"""How long after the replay the PMUs' last batches take at most: light nodes hand several over together."""
_SPOOF_FOUND_S: Final = 60.0


@dataclass(slots=True)
class Course:
    """Made once the network runs. ``moving``: what the PMUs measure, its second 0 at ``moving_begun_us``. ``out``:
    where the results go, an absolute path."""

    stage: Stage
    story: Story
    steps: Steps
    moving: MovingGrid
    moving_begun_us: int
    frequency: sounding.Frequency
    out: Path
    replayed: playing.Replayed | None = None
    spoofed_us: int = 0
    read: Read | None = None
    queries: Sequence[Mapping[str, Any]] = ()
    files: grid.Read | None = None
    examined: Examined | None = None
    judged: Judged | None = None
    package: bytes = b""
    packed: Packed | None = None
    verified: proving.Verified | None = None
    heard: sounding.Heard | None = None
    telling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """All steps."""
        try:
            for step, work in self._steps():
                await self.steps.act(step, work)
        finally:
            await self._end_telling()
        self.queries = await investigating.queries(self.stage)
        await self.steps.act("The report is written", self._write)

    def _steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("The devices are registered", self._register),
            ("The week of the attack is played", self._replay),
            ("Events are forged", self._forge),
            ("A case is opened", self._open_case),
            ("The rows are read", self._read_rows),
            ("The PMUs' files are read", self._read_files),
            ("The rules are applied", self._examine),
            ("The attack is proved", self._prove),
            ("Two recordings are dated", self._listen),
            ("Somebody verifies it who has nothing but the package and the roots", self._verify_elsewhere),
        ]

    async def _list_queries(self) -> None:
        self.queries = await investigating.queries(self.stage)

    async def _write(self) -> None:
        if self.read is None or self.examined is None:
            return
        dossier = Dossier(
            case=self.read.case,
            queries=self.queries,
            findings=[],
            rows=self.read.rows,
            examined=self.examined,
            made_us=RealClock().now_us(),
            left_out=self.read.left_out,
            packed=self.packed,
            expectations=[(each.text, each.held) for each in self.steps.expectations],
        )
        measured = None if self.files is None else self.files.measured
        await asyncio.to_thread(results.write, self.out, dossier, self.spoof, measured)

    @property
    def rows(self) -> Sequence[Row]:
        """What the desk answered."""
        return () if self.read is None else self.read.rows

    async def _register(self) -> None:
        done = await set_up(self.stage.profile, list(self.stage.nodes.values()), wait_s=_SET_UP_WAIT_S)
        wanted = sum(map(len, self.stage.devices.values()))
        count = sum(each["done"] == "registered" for each in done["devices"])
        self.steps.expect(f"{wanted} devices are registered and admitted", count == wanted)
        teller = await self.stage.teller_of(sounding.DEVICE, self.story.cast)
        self.telling = asyncio.create_task(sounding.tell(self.frequency, teller))

    async def _replay(self) -> None:
        length_s = self.story.pace.length_s
        self.spoofed_us = RealClock().now_us() + round(grid.SPOOFED_FROM * length_s * 1e6)
        grid.spoof(self.moving, (self.spoofed_us - self.moving_begun_us) / 1e6)
        self.replayed = await playing.replay(self.story, self.stage, self.steps)
        playing.expect_played(self.replayed, self.story, self.steps)

    async def _forge(self) -> None:
        await forging.forge(self.stage, self.steps)

    async def _open_case(self) -> None:
        await asyncio.sleep(_LAST_BATCH_S)
        await investigating.open_case(self.stage, self.moving_begun_us, self.steps)
        await investigating.refuse_directly(self.stage, self.steps)

    async def _read_rows(self) -> None:
        if self.replayed is None:
            raise UnavailableError("the week was not played")
        until_us = self.replayed.played.begun_us + round((self.story.pace.length_s + _AFTER_S) * 1e6)
        self.read = await investigating.read_rows(self.stage, until_us, self.steps)
        await self._end_telling()

    async def _end_telling(self) -> None:
        if self.telling is not None:
            await sounding.end(self.telling)
            self.telling = None

    async def _listen(self) -> None:
        work = partial(sounding.listen, self.rows, self.frequency, self.story.seed, self.out)
        self.heard = await asyncio.to_thread(work)
        sounding.expect_heard(self.heard, self.frequency, self.steps)

    async def _read_files(self) -> None:
        batch = await grid.tamper(self.stage, self.rows, self.steps)
        self.files = await grid.read_files(self.stage, self.rows, await authority_identity(self.stage.profile))
        grid.expect_tampered(self.files, batch, self.steps)

    async def _examine(self) -> None:
        more = [] if self.files is None else [gps_rule(self.files.measured)]
        work = partial(examine, self.rows, more=more, parameters=parameters(self.story.pace))
        self.examined = await asyncio.to_thread(work)
        outages = self.replayed.outages if self.replayed is not None else ()
        planted = grid.planted(self.story.pace.story_s(grid.SPOOFED_FROM * self.story.pace.length_s))
        truth = replace(self.story.truth, planted=(*self.story.truth.planted, planted))
        self.judged = investigating.expect_found(truth, self.examined.findings, outages, self.steps)
        after_s = (self.spoof.details["found_us"] - self.spoofed_us) / 1e6 if self.spoof else 0.0
        self.steps.expect(
            f"the clock that runs away by {grid.RUNS_AWAY_US_PER_S:g} us/s is found within {_SPOOF_FOUND_S:g} s",
            0 < after_s <= _SPOOF_FOUND_S,
            f"after {after_s:.0f} s",
        )

    @property
    def spoof(self) -> Finding | None:
        """The finding about the PMU's clock."""
        findings = () if self.examined is None else self.examined.findings
        return next((each for each in findings if each.rule == NAME), None)

    async def _prove(self) -> None:
        wanted = proving.evidence_of(self.rows, self.story.truth)
        await investigating.until_anchored(self.stage, [row for row in self.rows if row.tx_id in wanted])
        self.package = await investigating.package(self.stage, wanted)
        await asyncio.to_thread((self.out / PACKAGE).write_bytes, self.package)
        self.steps.expect("the roots are written by a member", await proving.write_roots(self.stage, self.out / ROOTS))
        trusted = await asyncio.to_thread(read_trusted, self.out / ROOTS)
        self.packed = await proving.expect_proved(self.package, trusted, wanted, self.steps)
        await proving.expect_each_byte_counts(self.package, trusted, self.story.seed, self.steps)

    async def _verify_elsewhere(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            verified = await proving.verify_elsewhere(self.out / PACKAGE, self.out / ROOTS, Path(folder))
        self.verified = verified
        where = "without a network" if verified.cut_off else "(this system does not let it be cut off the network)"
        self.steps.expect(f"the package verifies in an empty environment {where}", verified.code == 0, verified.last)
