"""Which PMU's clock is wrong, from phasors: a wrong clock turns all of one PMU's phasors by the same angle.

A clock that is dt ahead turns the voltage and the currents of its PMU by 360 f dt degrees (28 us are 0.5 degrees at
50 Hz). Magnitudes, P and Q there stay as they were, as both phasors of a product turn; but the angle across each of its
lines no longer fits what that line's current and impedance say. With the 2x2 admittances of a line from f to t

    I_f = ff V_f + ft V_t,   so   V_t = (I_f - ff V_f) / ft

is known from what is measured at f alone; the angle between that and what is measured at t is the misfit, the angle by
which f is turned more than t. The current of the other end says the same once more.

A PMU is suspected in a second where the misfits of all its lines have the same sign and exceed ``limit_deg``, and its
P and Q are steady: on none of its lines did they change, over ``steady_s``, by more than ``steady_share`` of what an
angle of ``limit_deg`` across that line would carry. It is accused after ``hold_s`` such seconds one after the other.

Lines that carry no current at both ends count as open, and say nothing: of a bus all of whose lines are so, nothing is
told. PMUs whose clocks are wrong by the same are not found where a line joins them. A bus with one line has but one
witness, so a wrong PMU at the line's other end makes it suspect too: it is so only where that one's other lines fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from gridledger.grid.case import Case
from gridledger.grid.ybus import branch_admittances

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ComplexArray = npt.NDArray[np.complex128]
_Values = TypeVar("_Values", FloatArray, ComplexArray)

_SECOND_US: Final = 1_000_000
_NOBODY: Final = -1
_LEAST_CURRENT: Final = 0.002
"""p.u. of the case's base: below it at both ends a line counts as open."""
_LEAST_VOLTAGE: Final = 0.2
"""p.u.: below it a bus is dead, and what its PMU says is no angle."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a PMU is accused. The defaults find a clock that runs away by 1 us/s within 60 s, a step of 50 us within 5 s
    at 50 Hz, with phasors whose noise is 0.05 degrees and 0.1 % a sample at one sample a second.

    What is suspected again within ``apart_s`` is the same accusation: near the limit noise interrupts it.
    """

    limit_deg: float = 0.5
    hold_s: int = 3
    steady_s: int = 5
    steady_share: float = 0.5
    apart_s: int = 60


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines of a case that have a PMU at both ends: ``f`` and ``t`` are positions in ``pmus``, admittances p.u."""

    pmus: tuple[str, ...]
    names: tuple[str, ...]
    branches: IntArray
    f: IntArray
    t: IntArray
    ff: ComplexArray
    ft: ComplexArray
    tf: ComplexArray
    tt: ComplexArray


@dataclass(frozen=True, slots=True, eq=False)
class Phasors:
    """What PMUs measured at the same moments, p.u. of the case: ``v`` by (moment, PMU), the currents into each line at
    its ends ``f`` and ``t`` by (moment, line). NaN where nothing was measured. ``time_us`` ascends."""

    time_us: IntArray
    v: ComplexArray
    i_f: ComplexArray
    i_t: ComplexArray


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A PMU that is accused. ``pmus`` has a second one where the two have but one line, between them, as witness.

    ``from_us``: the first second beyond the limit, ``found_us``: the end of the second that accused it, ``until_us``:
    the end of the last one. ``angle_deg``: by how much its phasors are turned in the last second, ``clock_us`` what
    that is of time, ``misfits_deg`` by line."""

    pmus: tuple[str, ...]
    from_us: int
    found_us: int
    until_us: int
    angle_deg: float
    clock_us: float
    misfits_deg: Mapping[str, float]


def lines_between(case: Case, bus_of: Mapping[str, int]) -> Lines:
    """The lines of ``case`` both of whose buses have a PMU; raises InputError for a bus that the case has not."""
    pmus = tuple(sorted(bus_of))
    at = {case.index(bus_of[pmu]): place for place, pmu in enumerate(pmus)}
    ends = list(zip(case.branches.f.tolist(), case.branches.t.tolist(), strict=True))
    rows = [row for row, (f, t) in enumerate(ends) if f in at and t in at]
    own = branch_admittances(case)
    return Lines(
        pmus=pmus,
        names=tuple("{}-{}".format(*case.ends(row)) for row in rows),
        branches=np.asarray(rows, dtype=np.int64),
        f=np.asarray([at[ends[row][0]] for row in rows], dtype=np.int64),
        t=np.asarray([at[ends[row][1]] for row in rows], dtype=np.int64),
        ff=own.ff[rows],
        ft=own.ft[rows],
        tf=own.tf[rows],
        tt=own.tt[rows],
    )


def wrong_clocks(lines: Lines, phasors: Phasors, nominal_hz: float, limits: Limits | None = None) -> list[WrongClock]:
    """The PMUs that are accused, by when they were found."""
    limits = limits or Limits()
    seconds = _by_second(lines, phasors)
    explained = _explanations(lines, seconds, limits)
    steady = ~_unsteady(lines, seconds, limits)
    found: dict[tuple[int, int, tuple[int, ...]], WrongClock] = {}
    for pmu in range(len(lines.pmus)):
        for first, last in _runs(~np.isnan(explained.angle_deg[:, pmu]), seconds.number, limits.apart_s):
            suspected = ~np.isnan(explained.angle_deg[first : last + 1, pmu]) & steady[first : last + 1, pmu]
            held = _held(suspected, seconds.number[first : last + 1], limits.hold_s)
            if held is None:
                continue
            key = (first, last, tuple(sorted({pmu, int(explained.partner[last, pmu])} - {_NOBODY})))
            angle = float(explained.angle_deg[last, pmu])
            found[key] = WrongClock(
                pmus=tuple(lines.pmus[each] for each in key[2]),
                from_us=int(seconds.number[first]) * _SECOND_US,
                found_us=(int(seconds.number[first + held]) + 1) * _SECOND_US,
                until_us=(int(seconds.number[last]) + 1) * _SECOND_US,
                angle_deg=round(angle, 3),
                clock_us=round(angle / (360.0 * nominal_hz) * _SECOND_US, 2),
                misfits_deg=_told(lines, seconds.misfit_deg[last], pmu),
            )
    return sorted(found.values(), key=lambda one: (one.found_us, one.pmus))


def misfits_deg(lines: Lines, phasors: Phasors) -> FloatArray:
    """By (moment, line): the angle by which f is turned more than t, degrees; NaN where the line is open or unknown."""
    v_f, v_t = phasors.v[:, lines.f], phasors.v[:, lines.t]
    with np.errstate(invalid="ignore"):
        by_f = (phasors.i_f - lines.ff * v_f) / lines.ft * np.conj(v_t)
        by_t = np.conj((phasors.i_t - lines.tt * v_t) / lines.tf) * v_f
        turned = np.where(np.isnan(by_f), by_t, np.where(np.isnan(by_t), by_f, by_f + by_t))
        open_ends = np.fmax(np.abs(phasors.i_f), np.abs(phasors.i_t)) < _LEAST_CURRENT
        dead = (np.abs(v_f) < _LEAST_VOLTAGE) | (np.abs(v_t) < _LEAST_VOLTAGE)
        degrees: FloatArray = np.degrees(np.angle(turned))
    degrees[open_ends | dead | np.isnan(turned)] = np.nan
    return degrees


@dataclass(frozen=True, slots=True, eq=False)
class _Seconds:
    """Means over whole seconds: ``number`` of each since 1970, misfits and powers by (second, line), what 1 degree
    across each line carries."""

    number: IntArray
    misfit_deg: FloatArray
    s_f: ComplexArray
    s_t: ComplexArray
    per_degree: FloatArray


def _by_second(lines: Lines, phasors: Phasors) -> _Seconds:
    """Relative angles and powers are averaged, not phasors: those turn where the frequency is off its nominal value."""
    v_f, v_t = phasors.v[:, lines.f], phasors.v[:, lines.t]
    number, starts = np.unique(phasors.time_us // _SECOND_US, return_index=True)
    return _Seconds(
        number=number,
        misfit_deg=_means(misfits_deg(lines, phasors), starts),
        s_f=_means(v_f * np.conj(phasors.i_f), starts),
        s_t=_means(v_t * np.conj(phasors.i_t), starts),
        per_degree=_means(np.radians(np.abs(lines.ft * v_f * v_t)), starts),
    )


def _means(values: _Values, starts: IntArray) -> _Values:
    """Means over the rows from each start to the next, of what was measured."""
    if not len(values):
        return values
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0), starts, axis=0)
    counts = np.add.reduceat(known, starts, axis=0, dtype=np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
    return np.asarray(means, dtype=values.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Explanations:
    """By (second, PMU): the angle by which it is turned if it is suspected, else NaN; and its partner."""

    angle_deg: FloatArray
    partner: IntArray


def _explanations(lines: Lines, seconds: _Seconds, limits: Limits) -> _Explanations:
    shape = (len(seconds.number), len(lines.pmus))
    result = _Explanations(np.full(shape, np.nan), np.full(shape, _NOBODY, dtype=np.int64))
    signs = _signs(lines)
    beyond = [_beyond(seconds.misfit_deg * own, limits) for own in signs]
    for second in np.flatnonzero(np.any(beyond, axis=0)).tolist():
        for suspect in _explained(signs, seconds.misfit_deg[second].copy(), limits):
            result.angle_deg[second, suspect.pmu] = suspect.degrees
            result.partner[second, suspect.pmu] = suspect.partner
    return result


def _signs(lines: Lines) -> FloatArray:
    """By (PMU, line): what makes of the line's misfit the angle by which the PMU is turned more than its neighbour; NaN
    where the line is not the PMU's."""
    signs = np.full((len(lines.pmus), len(lines.names)), np.nan)
    signs[lines.f, np.arange(len(lines.names))] = 1.0
    signs[lines.t, np.arange(len(lines.names))] = -1.0
    return signs


def _beyond(turned: FloatArray, limits: Limits) -> BoolArray:
    """Whether all that is known exceeds the limit, with one sign, and something is known; lines on the last axis."""
    known = ~np.isnan(turned)
    ahead, behind = turned > limits.limit_deg, turned < -limits.limit_deg
    alike = (ahead | ~known).all(axis=-1) | (behind | ~known).all(axis=-1)
    return np.asarray(known.any(axis=-1) & alike)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A PMU, by how many lines it is suspected, the median angle, and the PMU that cannot be told from it."""

    pmu: int
    witnesses: int
    degrees: float
    partner: int = _NOBODY


def _explained(signs: FloatArray, misfit_deg: FloatArray, limits: Limits) -> list[_Suspect]:
    """The PMUs that explain one second's misfits: those with most lines first, each taken out of the misfits before the
    next is looked for. Of two that have one line, between them, both are named."""
    found: list[_Suspect] = []
    for _ in range(len(signs)):
        suspects = _suspects(signs, misfit_deg, limits)
        if not suspects:
            break
        worst = max(suspects, key=lambda each: (each.witnesses, abs(each.degrees), -each.pmu))
        found += [worst, *(each for each in suspects if each.pmu == worst.partner)]
        own = np.nan_to_num(signs[worst.pmu])
        misfit_deg -= own * worst.degrees
    return found


def _suspects(signs: FloatArray, misfit_deg: FloatArray, limits: Limits) -> list[_Suspect]:
    """The PMUs all of whose lines misfit alike."""
    turned = signs * misfit_deg
    suspects = []
    for pmu in np.flatnonzero(_beyond(turned, limits)).tolist():
        lines = np.flatnonzero(~np.isnan(turned[pmu])).tolist()
        degrees, partner = float(np.median(turned[pmu, lines])), _NOBODY
        if len(lines) == 1:
            witness = next(other for other in np.flatnonzero(~np.isnan(signs[:, lines[0]])).tolist() if other != pmu)
            rest = [angle for angle in np.delete(turned[witness], lines[0]).tolist() if not np.isnan(angle)]
            if rest and -np.sign(degrees) * float(np.median(rest)) > limits.limit_deg / 2:
                continue  # the witness's other lines misfit, too
            partner = witness if not rest else _NOBODY
        suspects.append(_Suspect(pmu, len(lines), degrees, partner))
    return suspects


def _unsteady(lines: Lines, seconds: _Seconds, limits: Limits) -> BoolArray:
    """By (second, PMU): whether P or Q of one of its lines changed too much over the last ``steady_s`` seconds."""
    most = limits.steady_share * limits.limit_deg * seconds.per_degree
    changed = np.stack(
        [
            (_spread(power, limits.steady_s) > most)
            for s in (seconds.s_f, seconds.s_t)
            for power in (s.real.copy(), s.imag.copy())
        ]
    )
    result = np.zeros((len(seconds.number), len(lines.pmus)), dtype=np.bool_)
    for pmu in range(len(lines.pmus)):
        at_f, at_t = lines.f == pmu, lines.t == pmu
        result[:, pmu] = changed[:2, :, at_f].any(axis=(0, 2)) | changed[2:, :, at_t].any(axis=(0, 2))
    return result


def _spread(power: FloatArray, steady_s: int) -> FloatArray:
    """By (second, line): the largest less the smallest value of this second and those up to ``steady_s`` before it."""
    if not len(power):
        return power
    padded = np.concatenate((np.repeat(power[:1], steady_s, axis=0), power))
    windows = np.lib.stride_tricks.sliding_window_view(padded, steady_s + 1, axis=0)
    known = np.where(np.isnan(windows), power[:, :, None], windows)
    spread: FloatArray = known.max(axis=-1) - known.min(axis=-1)
    return spread


def _runs(flags: BoolArray, number: IntArray, most_apart_s: int) -> list[tuple[int, int]]:
    """First and last row of each run of true rows, none more than so many seconds after the one before."""
    runs: list[tuple[int, int]] = []
    for row in np.flatnonzero(flags).tolist():
        if runs and number[row] - number[runs[-1][1]] <= most_apart_s:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs


def _held(flags: BoolArray, number: IntArray, hold_s: int) -> int | None:
    """The row that ends the first ``hold_s`` seconds one after the other whose flags are true."""
    length = 0
    for row in range(len(flags)):
        follows = length > 0 and number[row] == number[row - 1] + 1
        length = (length + 1 if follows else 1) if flags[row] else 0
        if length >= hold_s:
            return row
    return None


def _told(lines: Lines, misfit_deg: FloatArray, pmu: int) -> dict[str, float]:
    """By line of a PMU: the angle by which it is turned more than its neighbour there, degrees."""
    sign = np.where(lines.f == pmu, 1.0, -1.0)
    rows = np.flatnonzero(((lines.f == pmu) | (lines.t == pmu)) & ~np.isnan(misfit_deg)).tolist()
    return {lines.names[row]: round(float(sign[row] * misfit_deg[row]), 3) for row in rows}
