"""Phasors of case30 with a PMU at each bus: solved states one after the other, measured with noise, clocks turned.

Noise: ``ANGLE_DEG`` and ``MAGNITUDE`` of each phasor, normal, new in each sample (a total vector error of 0.13 %, where
IEEE C37.118.1 allows 1 %), and ``FLOOR`` p.u. more of each current.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from gridledger.errors import InputError
from gridledger.grid.case import Case, load_case
from gridledger.grid.power_flow import PowerFlow
from services.case.rules.phasors import ComplexArray, Lines, Phasors, lines_between

ANGLE_DEG = 0.05
MAGNITUDE = 0.001
FLOOR = 0.0005
BEGIN_US = 1_700_000_000_000_000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """So many seconds from one state to another: voltages at the begin and at the end, p.u.; branches that are out."""

    seconds: int
    begin: ComplexArray
    end: ComplexArray
    out: frozenset[int] = frozenset()


@cache
def grid() -> tuple[Case, PowerFlow, Lines]:
    """case30, its solver, its lines, PMU ``pmu-NN`` at bus NN."""
    case = load_case("case30")
    return case, PowerFlow(case), lines_between(case, {f"pmu-{bus:02d}": bus for bus in case.numbers})


def voltages(
    load: float = 1.0, *, at: int | None = None, step_mw: float = 0.0, out: frozenset[int] = frozenset()
) -> ComplexArray:
    """The solved voltages under all loads times ``load``, ``step_mw`` more at the bus ``at``, without branches ``out``.

    A bus that no branch joins any more is dead: 0."""
    case, flow, _ = grid()
    pd = case.pd * load
    if at is not None:
        pd[case.index(at)] += step_mw
    try:
        state = flow.solve(pd, case.qd * load, out=out)
    except InputError:
        return _without_leaf(out, pd, case.qd * load)
    return np.asarray(state.vm * np.exp(1j * np.radians(state.va)))


def _without_leaf(out: frozenset[int], pd: FloatArray, qd: FloatArray) -> ComplexArray:
    """The voltages without the bus that has only the one branch of ``out``."""
    case = grid()[0]
    (branch,) = out
    counts = np.bincount(np.concatenate((case.branches.f, case.branches.t)))
    leaf = next(int(end) for end in (case.branches.f[branch], case.branches.t[branch]) if counts[end] == 1)
    kept = np.arange(len(case.numbers)) != leaf
    place = np.cumsum(kept) - 1
    branches = case.branches.at(np.arange(len(case.branches)) != branch)
    generators = case.generators.at(case.generators.bus != leaf)
    smaller = replace(
        case,
        numbers=tuple(number for number, keep in zip(case.numbers, kept, strict=True) if keep),
        position={number: int(place[at]) for number, at in case.position.items() if at != leaf},
        branches=replace(branches, f=place[branches.f], t=place[branches.t]),
        generators=replace(generators, bus=place[generators.bus]),
        **{name: getattr(case, name)[kept] for name in ("kind", "pd", "qd", "gs", "bs", "base_kv", "vm0", "va0")},
    )
    state = PowerFlow(smaller).solve(pd[kept], qd[kept])
    whole = np.zeros(len(case.numbers), dtype=np.complex128)
    whole[kept] = state.vm * np.exp(1j * np.radians(state.va))
    return whole


def measured(stretches: Sequence[Stretch], *, seed: int, rate: int = 1) -> Phasors:
    """What the PMUs measure: ``rate`` samples a second. Between two states voltages go straight from one to the other:
    currents are linear in them, so each sample fits the lines."""
    _, _, lines = grid()
    v = np.concatenate([_between(each, rate) for each in stretches])
    closed = np.concatenate(
        [np.tile([b not in each.out for b in lines.branches.tolist()], (each.seconds * rate, 1)) for each in stretches]
    )
    i_f = (lines.ff * v[:, lines.f] + lines.ft * v[:, lines.t]) * closed
    i_t = (lines.tf * v[:, lines.f] + lines.tt * v[:, lines.t]) * closed
    noise = np.random.default_rng(seed)
    time_us = BEGIN_US + np.arange(len(v), dtype=np.int64) * (1_000_000 // rate)
    return Phasors(time_us, _noisy(v, noise), _noisy(i_f, noise, FLOOR), _noisy(i_t, noise, FLOOR))


def turned(phasors: Phasors, pmu: str, clock_us: FloatArray, hz: float = 50.0) -> Phasors:
    """What is measured if the PMU's clock is ahead by ``clock_us``, one for each sample."""
    _, _, lines = grid()
    place = lines.pmus.index(pmu)
    turn = np.exp(2j * np.pi * hz * clock_us * 1e-6)[:, None]
    v, i_f, i_t = phasors.v.copy(), phasors.i_f.copy(), phasors.i_t.copy()
    v[:, [place]] *= turn
    i_f[:, lines.f == place] *= turn
    i_t[:, lines.t == place] *= turn
    return replace(phasors, v=v, i_f=i_f, i_t=i_t)


def steady(seconds: int, *, seed: int = 1, rate: int = 1) -> Phasors:
    """The case's own loads for so many seconds."""
    state = voltages()
    return measured([Stretch(seconds, state, state)], seed=seed, rate=rate)


def day(*, ramps: Sequence[float], steps: int, outages: Sequence[int], seconds: int, apart_s: int) -> Iterator[Stretch]:
    """Loads that go through ``ramps`` (times the case's) in ``seconds`` each, ``steps`` load steps of 20 % of the mean
    load up and down, each outage, all ``apart_s`` long."""
    case = grid()[0]
    before = voltages(ramps[0])
    for ramp in ramps[1:]:
        after = voltages(ramp)
        yield Stretch(seconds, before, after)
        before = after
    loads = [bus for bus in case.numbers if case.pd[case.index(bus)] > 0]
    normal = voltages()
    for number in range(steps):
        stepped = voltages(at=loads[number % len(loads)], step_mw=(10.0, -5.0)[number % 2])
        yield Stretch(apart_s, stepped, stepped)
        yield Stretch(apart_s, normal, normal)
    for branch in outages:
        out = frozenset({branch})
        without = voltages(out=out)
        yield Stretch(apart_s, without, without, out)
        yield Stretch(apart_s, normal, normal)


def _between(stretch: Stretch, rate: int) -> ComplexArray:
    share = np.arange(stretch.seconds * rate)[:, None] / (stretch.seconds * rate)
    return np.asarray(stretch.begin * (1 - share) + stretch.end * share)


def _noisy(values: ComplexArray, noise: np.random.Generator, floor: float = 0.0) -> ComplexArray:
    angle = np.radians(ANGLE_DEG) * noise.standard_normal(values.shape)
    magnitude = MAGNITUDE * noise.standard_normal(values.shape)
    rest = floor * (noise.standard_normal(values.shape) + 1j * noise.standard_normal(values.shape))
    return np.asarray(values * (1 + magnitude) * np.exp(1j * angle) + rest)
