"""The commands of interactive control, one a line, and what each is: parsed here, carried out by the operator."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gridledger.errors import InputError
from gridledger.grid.layout import GROUP_ID

MAX_LINE: Final = 1000
_MAX_POWER = 1e6
_MAX_FACTOR = 1000.0
_MERGED_ID = re.compile(rf"{GROUP_ID.pattern}(_{GROUP_ID.pattern})+")


@dataclass(frozen=True, slots=True)
class SetLoad:
    """The demand of a bus, MW and MVAr."""

    bus: int
    p_mw: float
    q_mvar: float


@dataclass(frozen=True, slots=True)
class ScaleLoads:
    """Demand times ``factor``: of some buses, of a group, or of the whole grid."""

    factor: float
    buses: tuple[int, ...] = ()
    group: str | None = None


@dataclass(frozen=True, slots=True)
class SetVvc:
    """What a bus may inject from now on, MVAr."""

    bus: int
    mvar: float


@dataclass(frozen=True, slots=True)
class SwitchLine:
    """A line (f, t, n) trips (``out``) or comes back."""

    branch: tuple[int, int, int]
    out: bool


@dataclass(frozen=True, slots=True)
class MergeGroup:
    """A group is merged with a neighbour, and stays so until it is split."""

    group: str


@dataclass(frozen=True, slots=True)
class SplitMerge:
    """A merge ends."""

    group: str


@dataclass(frozen=True, slots=True)
class Simple:
    """A command without arguments: pause, resume, status, help, quit."""

    name: str


Command = SetLoad | ScaleLoads | SetVvc | SwitchLine | MergeGroup | SplitMerge | Simple


def parse(line: str) -> Command:
    """The command of a line. Raises InputError that says what was wanted."""
    if len(line) > MAX_LINE:
        raise InputError(f"a command has at most {MAX_LINE} characters")
    words = line.split()
    if not words:
        raise InputError("an empty line is no command; try help")
    name, arguments = words[0].lower(), words[1:]
    if name not in USAGE:
        raise InputError(f"there is no command {name[:40]!r}: use one of {', '.join(USAGE)}")
    try:
        return _PARSERS[name](arguments) if name in _PARSERS else _simple(name, arguments)
    except ValueError:
        raise InputError(f"usage: {USAGE[name]}") from None


USAGE: Final[Mapping[str, str]] = {
    "load": "load BUS MW MVAR",
    "scale": "scale FACTOR [bus BUS... | group GROUP]",
    "vvc": "vvc BUS MVAR",
    "trip": "trip FROM TO [NUMBER]",
    "close": "close FROM TO [NUMBER]",
    "merge": "merge GROUP",
    "split": "split MERGED_GROUP",
    "pause": "pause",
    "resume": "resume",
    "status": "status",
    "help": "help",
    "quit": "quit",
}


def _load(words: Sequence[str]) -> SetLoad:
    bus, p, q = words
    return SetLoad(_bus(bus), _number(p, -_MAX_POWER, _MAX_POWER), _number(q, -_MAX_POWER, _MAX_POWER))


def _scale(words: Sequence[str]) -> ScaleLoads:
    factor = _number(words[0] if words else "", 0.0, _MAX_FACTOR)
    match words[1:]:
        case []:
            return ScaleLoads(factor)
        case ["group", group]:
            return ScaleLoads(factor, group=_group(group))
        case ["bus", *buses] if buses:
            return ScaleLoads(factor, buses=tuple(_bus(bus) for bus in buses))
        case _:
            raise ValueError


def _vvc(words: Sequence[str]) -> SetVvc:
    bus, mvar = words
    return SetVvc(_bus(bus), _number(mvar, 0.0, _MAX_POWER))


def _line(words: Sequence[str], *, out: bool) -> SwitchLine:
    f, t, number = words if len(words) == 3 else (*words, "1")  # noqa: PLR2004 -- from, to, number
    if _bus(number) < 1:
        raise ValueError
    return SwitchLine((_bus(f), _bus(t), _bus(number)), out)


def _merge(words: Sequence[str]) -> MergeGroup:
    (group,) = words
    return MergeGroup(_group(group))


def _split(words: Sequence[str]) -> SplitMerge:
    (group,) = words
    if not _MERGED_ID.fullmatch(group):
        raise ValueError
    return SplitMerge(group)


def _simple(name: str, words: Sequence[str]) -> Simple:
    if words:
        raise ValueError
    return Simple(name)


def _bus(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 10):  # noqa: PLR2004 -- digits of a bus number
        raise ValueError
    return int(word)


def _group(word: str) -> str:
    if not GROUP_ID.fullmatch(word):
        raise ValueError
    return word


def _number(word: str, low: float, high: float) -> float:
    value = float(word)
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError
    return value


_PARSERS: Final[Mapping[str, Callable[[Sequence[str]], Command]]] = {
    "load": _load,
    "scale": _scale,
    "vvc": _vvc,
    "trip": lambda words: _line(words, out=True),
    "close": lambda words: _line(words, out=False),
    "merge": _merge,
    "split": _split,
}
