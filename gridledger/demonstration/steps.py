"""The steps of a demonstration, and whether what had to hold in each did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gridledger.demonstration.console import Console
from gridledger.errors import GridLedgerError


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that had to hold. ``step`` is the step that it belongs to, ``seen`` what was seen."""

    step: str
    text: str
    held: bool
    seen: str = ""


@dataclass(slots=True)
class Steps:
    """What was expected so far, told to the console as it comes."""

    console: Console
    expectations: list[Expectation] = field(default_factory=list)
    step: str = ""

    def expect(self, text: str, held: bool, seen: str = "") -> None:
        """Write down whether something that had to hold did."""
        self.expectations.append(Expectation(self.step, text, held, seen))
        mark = self.console.green("ok") if held else self.console.red("x ")
        self.console.line(f"    {mark}  {text}{self.console.dim(f' ({seen})') if seen else ''}")

    async def act(self, step: str, work: Callable[[], Awaitable[None]]) -> None:
        """Carry out a step; one that cannot be carried out is an expectation that did not hold."""
        self.step = step
        self.console.say(step)
        try:
            await work()
        except (GridLedgerError, OSError, TimeoutError) as error:
            told = error.message if isinstance(error, GridLedgerError) else str(error) or type(error).__name__
            self.expect("the step goes to its end", False, told)

    @property
    def is_good(self) -> bool:
        """Whether all expectations held."""
        return bool(self.expectations) and all(each.held for each in self.expectations)

    @property
    def failed(self) -> str:
        """Those that did not hold, as one line."""
        return "; ".join(f"not: {each.text}" for each in self.expectations if not each.held)
