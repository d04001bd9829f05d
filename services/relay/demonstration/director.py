"""The director of the demonstration: has each thing happen in its minute of the relay's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from gridledger.demonstration.console import Console
from gridledger.errors import GridLedgerError
from services.relay.demonstration import story
from services.relay.demonstration.liar import attest_another_text, record_made_up_text
from services.relay.demonstration.renames import Renames
from services.relay.demonstration.report import clock_text
from services.relay.demonstration.stage import Stage, companion, within
from services.relay.demonstration.watching import Watched
from services.relay.ledger import RelayLedger


class Director:
    """Has each thing happen in its minute. Minute n begins when the relay has completed the one before."""

    def __init__(
        self,
        stage: Stage,
        cast: story.Cast,
        *,
        watched: Watched,
        renames: Renames,
        first: int,
        minute_s: float,
        console: Console,
    ) -> None:
        self.stage = stage
        self.cast = cast
        self.watched = watched
        self.renames = renames
        self.first = first
        self._minute_s = minute_s
        self._console = console

    async def play(self, count: int, stack: AsyncExitStack) -> dict[int, str]:
        """All minutes; the hashes of the lies by minute's number."""
        lies: dict[int, str] = {}
        liar = await self.stage.ledger_as(stack, self.cast.liar)
        racer = await self.stage.ledger_as(stack, self.cast.racer)
        acts: dict[int, Callable[[], Awaitable[None]]] = {
            story.KILLED_IN: self._kill,
            story.SILENT_IN[0] - 1: lambda: self.stage.misbehave("silent", len(story.SILENT_IN)),
            story.LIE_IN: self._step_aside_and_turn_two_faced,
            story.LIE_IN + 1: lambda: self._attest_lie(liar, lies),
            story.BACK_IN: lambda: self.stage.start(self.cast.killed),
            story.CUT_OFF_IN: self._cut_off,
            story.MADE_UP_IN: lambda: self._record_lie(racer, lies),
            story.MADE_UP_IN + 1: self._heal,
        }
        for number in range(1, max(count, story.MADE_UP_IN) + 2):
            await self.renames.until(self.minute(number) - 1)
            if number <= count:
                told = story.remark(number, self.cast)
                self._console.say(
                    f"minute {number:>2} begins, {clock_text(self.minute(number))} UTC{': ' if told else ''}{told}"
                )
            if number in acts:
                await acts[number]()
        return lies

    def minute(self, number: int) -> int:
        """A minute's number of the story as UTC epoch minute."""
        return self.first + number - 1

    async def _kill(self) -> None:
        self.stage.kill(companion(self.cast.killed))

    async def _step_aside_and_turn_two_faced(self) -> None:
        """The liar's own program stops when it has said what it has to say; the next minute has two faces."""
        await self.stage.misbehave("two-faced", 1)
        await self._spoken(story.LIE_IN - 1)
        await self.stage.stop(self.cast.liar)

    async def _attest_lie(self, ledger: RelayLedger, lies: dict[int, str]) -> None:
        minute = self.minute(story.LIE_IN)
        await within(self._minute_s, self.watched.until_recorded(minute))
        relay, limits = self.stage.record["relay"], self.stage.record["limits"]
        with self._told("the lie is not attested"):
            lies[story.LIE_IN] = await attest_another_text(ledger, relay, minute, limits)
        await self.stage.start(self.cast.liar)

    async def _cut_off(self) -> None:
        await self._spoken(story.CUT_OFF_IN - 1)
        self.stage.cut_off(self.stage.own_peer(self.cast.killed))

    async def _record_lie(self, ledger: RelayLedger, lies: dict[int, str]) -> None:
        """In place of the racer's own program, which stops when it has spoken to the minute before."""
        await self._spoken(story.MADE_UP_IN - 1)
        await self.stage.stop(self.cast.racer)
        relay, limits = self.stage.record["relay"], self.stage.record["limits"]
        before = self.minute(story.MADE_UP_IN - 1)
        with self._told("the made-up text is not recorded"):
            lies[story.MADE_UP_IN] = await record_made_up_text(ledger, relay, before, limits)

    async def _heal(self) -> None:
        """What was cut off is connected again, and everybody runs."""
        await within(self._minute_s, self.watched.until_recorded(self.minute(story.MADE_UP_IN)))
        self.stage.connect_all()
        await self.stage.start(self.cast.racer)

    async def _spoken(self, number: int) -> None:
        """Give the servers a part of a minute to record and attest one that has just been completed."""
        await within(self._minute_s / 4, self.watched.until_recorded(self.minute(number)))
        await asyncio.sleep(self._minute_s / 6)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """A lie that fails is told, and judged at the end: the story goes on."""
        try:
            yield
        except GridLedgerError as error:
            self._console.warn(f"{what}: {error.message}")
