"""LocalController: which bus answers a sag, and with how much reactive power.

The control is part of ComputeVSI, in the same transaction. One injection per call; the caller measures again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Protocol

from gridledger.contract.arguments import refuse

from .arithmetic import term
from .grouping import CORRECTED, GENERATOR, Record
from .response import VoltageResponse
from .vsi import Bus

#: Profile ``corrected`` leaves a voltage alone that misses its target by less, p.u.
NEAR_ENOUGH: Final = 1e-4
#: Profile ``corrected``: least voltage gain at the weak bus that makes a bus a source, p.u. volts per p.u. power.
LEAST_GAIN: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Injection:
    """What was decided: ``q_pu`` of the ``required_pu`` from bus ``source``, to lift bus ``weak``.

    Both are negative where an injection is taken back. ``searched``: the buses popped on the way to the source.
    """

    weak: int
    source: int
    sensitivity: float
    required_pu: float
    q_pu: float
    searched: list[int]


class Sensitivities(Protocol):
    """How a source moves the voltage of the weak bus."""

    def judge(self, source: int, sag: float) -> tuple[float, float] | None:
        """(sensitivity, power required in p.u. to lift the weak bus by ``sag`` p.u.); None: does not count."""


def voltage_suffices(head: Record, vm: float) -> bool:
    """Whether the weak bus's voltage ``vm`` needs no injection, although its index alarmed."""
    required: float = head["v_required"]
    return vm >= required or (head["profile"] == CORRECTED and required - vm < NEAR_ENOUGH)


def local_controller(
    head: Record, matrices: Record, buses: Mapping[int, Bus], weak: int, available: Mapping[int, float]
) -> Injection | None:
    """The injection that answers a sag at bus ``weak``; None where no source counts (the group escalates).

    ``available``: VVC per load bus, p.u. Refused where the power required is not finite.
    """
    corrected = head["profile"] == CORRECTED
    sag: float = head["v_required"] - buses[weak][2]
    model: Sensitivities = (_Corrected if corrected else _Published)(head, matrices, buses, weak)
    for source, searched in _candidates(head, matrices["PI"], weak, available, corrected=corrected):
        judged = model.judge(source, sag)
        if judged is None:
            continue
        sensitivity, required = judged
        if not isfinite(required):
            refuse("buses", f"bus {weak}: the power that source {source} would have to inject is not finite")
        return Injection(weak, source, sensitivity, required, min(required, available[source]), searched)
    return None


def priority_order(head: Record, weights: Sequence[Sequence[Any]], weak: int, *, corrected: bool) -> Iterator[int]:
    """The members of M by priority, from ``weak`` outwards and without it. ``weights``: PI of the record.

    ``published`` adds up |Ybus| along the path by which a bus was first seen, so that weak connections come first;
    ``corrected`` takes the shortest path by 1/|Ybus|. Equal costs go by bus number.
    """
    neighbours = _neighbours(head["dim"], weights)
    costs = {weak: 0.0}
    queue = [(0.0, weak)]
    done = set()
    while queue:
        cost, bus = heapq.heappop(queue)
        if bus in done:
            continue
        done.add(bus)
        if bus != weak:
            yield bus
        for neighbour, weight in neighbours.get(bus, ()):
            reached = cost + (1.0 / weight if corrected else weight)
            if neighbour not in costs or (corrected and reached < costs[neighbour]):
                costs[neighbour] = reached
                heapq.heappush(queue, (reached, neighbour))


def _neighbours(dim: Sequence[int], weights: Sequence[Sequence[Any]]) -> dict[int, list[tuple[int, float]]]:
    neighbours: dict[int, list[tuple[int, float]]] = {}
    for i, k, weight in weights:
        neighbours.setdefault(dim[i], []).append((dim[k], weight))
        neighbours.setdefault(dim[k], []).append((dim[i], weight))
    return neighbours


def _candidates(
    head: Record, weights: Sequence[Sequence[Any]], weak: int, available: Mapping[int, float], *, corrected: bool
) -> Iterator[tuple[int, list[int]]]:
    """(bus with VVC, buses popped on the way to it, itself the last): the weak bus first, then by priority."""
    if available.get(weak, 0.0) > 0.0:
        yield weak, []
    searched = []
    for bus in priority_order(head, weights, weak, corrected=corrected):
        searched.append(bus)
        if available.get(bus, 0.0) > 0.0:
            yield bus, list(searched)


class _Published:
    """Sensitivities of the thesis: the doubled matrix A, direct neighbours only."""

    def __init__(self, head: Record, matrices: Record, buses: Mapping[int, Bus], weak: int) -> None:
        self._dim: list[int] = head["dim"]
        self._kind: list[int] = head["kind"]
        self._nm: int = head["nm"]
        self._buses = buses
        self._weak = weak
        self._at = self._dim.index(weak)
        self._row = {k: (re, im) for i, k, re, im in matrices["A"] if i == self._at}
        self._column = {i: (re, im) for i, k, re, im in matrices["A"] if k == self._at}

    def judge(self, source: int, sag: float) -> tuple[float, float] | None:
        s = self._own() if source == self._weak else self._of_neighbour(source)
        if s is None or s == 0.0 or not isfinite(s):
            return None
        return s, abs(s) * sag

    def _of_neighbour(self, source: int) -> float | None:
        entry = self._column.get(self._dim.index(source))
        if entry is None:
            return None
        _, _, vm, va = self._buses[source]
        return term(*entry, vm, va - self._buses[self._weak][3])

    def _own(self) -> float:
        _, _, vm_w, va_w = self._buses[self._weak]
        s: float = (-self._row.get(self._at, (0.0, 0.0))[1]) * vm_w
        for n, bus in enumerate(self._dim):
            entry = self._row.get(n)
            if entry is None or n == self._at or self._kind[n] == GENERATOR:
                continue
            _, _, vm_n, va_n = self._buses[bus]
            if n < self._nm:
                s += term(*entry, vm_n, va_w - va_n)
            else:
                s += term(*entry, (vm_w + vm_n) / 2.0, va_w - (va_w + va_n) / 2.0)
        return s


class _Corrected:
    """Sensitivities from the Jacobian dQ/dV of the group's load buses, angles fixed."""

    def __init__(self, head: Record, matrices: Record, buses: Mapping[int, Bus], weak: int) -> None:
        self._weak = weak
        self._response = VoltageResponse(head, matrices["Y"], buses)

    def judge(self, source: int, sag: float) -> tuple[float, float] | None:
        if self._response.surely_below(LEAST_GAIN, source, self._weak):
            return None
        response = self._response.to(source)
        if response is None:
            return None
        x = response[self._weak]
        if not isfinite(x) or x < LEAST_GAIN:
            return None
        return 1.0 / x, sag / x
