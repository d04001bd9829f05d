"""What the demonstration writes down while it runs: each expectation with whether it held, and what was seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridledger.demonstration.console import Console
from gridledger.errors import GridLedgerError


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that had to hold. ``step`` is the step that it belongs to, ``seen`` what was seen."""

    step: str
    text: str
    held: bool
    seen: str = ""


@dataclass(frozen=True, slots=True)
class StoredShare:
    """A share on its holder's disk: ``data`` bytes were shared, the file has ``disk``, the formula says ``formula``."""

    object: str
    cluster: str
    profile: str
    t: int
    n: int
    holder: str
    data: int
    disk: int
    formula: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of ``subsets`` sets of ``dead`` holders of a cluster, after how many the data came back."""

    cluster: str
    t: int
    n: int
    dead: int
    subsets: int
    recovered: int


@dataclass(frozen=True, slots=True)
class Speed:
    """A profile in memory: MB of data a second, split and joined."""

    profile: str
    t: int
    n: int
    split: float
    join: float


@dataclass(frozen=True, slots=True)
class Collusion:
    """What two holders found out of a record of which they knew all but the voltage."""

    holders: tuple[str, ...]
    t: int
    candidates: int
    left_article: tuple[str, ...]
    left_sealed: tuple[str, ...]
    truth: str
    seconds: float


@dataclass(slots=True)
class Book:
    """All that the report tells. ``reads``: GetReads' entries of all objects."""

    console: Console
    expectations: list[Expectation] = field(default_factory=list)
    stored: list[StoredShare] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    collusion: Collusion | None = None
    reads: list[dict[str, Any]] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)
    """Ids that a sensor tried to join with, and what the contract said."""
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


def failed(expectations: Sequence[Expectation]) -> str:
    """Those that did not hold, as one line."""
    return "; ".join(f"not: {each.text}" for each in expectations if not each.held)
