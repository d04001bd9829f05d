"""What happens in an ordinary week of three control centres: shifts, commands, wrong passwords, reports, alarms.

No rule accuses anybody of it: shifts are closed after eight hours, at terminals that are always the same, and breakers
are opened one at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.case.replay.centres import (
    CALLS,
    CENTRES,
    CHARGERS,
    DAY,
    DAY_SHIFT,
    HOUR,
    METERS,
    MINUTE,
    SHIFTS,
    Centre,
)
from services.case.replay.story import Denial, Happening, Login, Logout, Order, Said

_SHIFT_S: Final = DAY / SHIFTS
_FIRMWARE, _NEXT_FIRMWARE = "4.2.1", "4.2.2"
_UPGRADED: Final = CENTRES[0].gateways[0]
_UPGRADE_S: Final = 2 * DAY + 11 * HOUR
"""A planned one."""
_WRONG_PASSWORDS, _MAINTENANCE, _ALARMS = 0.15, 0.2, 0.4
"""Shifts that begin with a wrong password, shifts in which a breaker is opened by plan, breakers with an alarm."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How an attack changes what is ordinary.

    From ``begin_s`` to ``end_s`` devices report more often, nobody opens a breaker by plan. The day shift that works
    then is closed at ``thrown_out_s``. ``silent_from_s``: devices that say nothing any more. ``firmware``: from when on
    a gateway tells another one. ``ahead``: from when on a device's clock is ahead, by how many seconds of the replay.
    """

    begin_s: float
    end_s: float
    thrown_out_s: float
    silent_from_s: Mapping[str, float]
    firmware: Mapping[str, tuple[float, str]]
    ahead: Mapping[str, tuple[float, float]]


def ordinary(draw: random.Random, length_s: float, quantity: float, disturbance: Disturbance) -> Iterator[Happening]:
    """All of it until ``length_s``, not sorted. ``quantity``: how many commands and reports, 1 for the usual."""
    for centre in CENTRES:
        for day in range(int(length_s // DAY)):
            for shift in range(SHIFTS):
                yield from _shift(draw, centre, (day, shift), quantity, disturbance)
    at_s = _UPGRADE_S + 1.5 * HOUR
    yield Order(_UPGRADE_S, _session(CENTRES[0], 2, DAY_SHIFT), _UPGRADED, "upgrade", _NEXT_FIRMWARE)
    yield Said(at_s, _UPGRADED, "config", {"firmware": _NEXT_FIRMWARE})
    for each in _reports(draw, length_s, quantity, disturbance):
        if each.at_s < disturbance.silent_from_s.get(each.device, length_s):
            yield _by_its_clock(each, disturbance)


def _shift(
    draw: random.Random, centre: Centre, when: tuple[int, int], quantity: float, disturbance: Disturbance
) -> Iterator[Happening]:
    day, shift = when
    begin_s = day * DAY + shift * _SHIFT_S + draw.uniform(1, 6) * MINUTE
    end_s = day * DAY + (shift + 1) * _SHIFT_S - draw.uniform(1, 5) * MINUTE
    if begin_s < disturbance.thrown_out_s < end_s:
        end_s = disturbance.thrown_out_s
    operator, terminal, session = centre.operator(shift), centre.terminal(shift), _session(centre, day, shift)
    if draw.random() < _WRONG_PASSWORDS:
        yield Denial(begin_s - 50, centre.organisation, operator, terminal, "wrong password")
    yield Login(begin_s, session, operator, terminal, centre.section, f"shift {shift + 1}")
    yield Logout(end_s, session)
    for _ in range(round(3 * quantity)):
        at_s = draw.uniform(begin_s + 40 * MINUTE, end_s - 40 * MINUTE)
        device = draw.choice(centre.breakers)
        yield Order(at_s, session, device, *draw.choice((("set-limit", "630 A"), ("read-log", None), ("set-tap", "7"))))
    at_s = begin_s + draw.uniform(1, 4) * HOUR
    is_disturbed = disturbance.begin_s - 3 * HOUR < at_s < disturbance.end_s
    if draw.random() < _MAINTENANCE and not is_disturbed:
        breaker = draw.choice(centre.breakers)
        yield Order(at_s, session, breaker, "open", "maintenance", obeyed=True)
        yield Order(at_s + 1.5 * HOUR, session, breaker, "close", "maintenance", obeyed=True)


def _session(centre: Centre, day: int, shift: int) -> str:
    return f"{centre.city}-{day + 1}-{shift + 1}"


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Devices that say something about every ``week_s`` seconds, in the disturbance every ``disturbed_s``."""

    devices: Sequence[str]
    week_s: float
    disturbed_s: float
    said: Callable[[str, float], list[Said]]


def _speakers(draw: random.Random, disturbance: Disturbance) -> Iterator[_Speaker]:
    def health(device: str, at_s: float) -> list[Said]:
        return [Said(at_s, device, "health", {"temperature_c": round(draw.gauss(24, 2), 1)})]

    def version(device: str, at_s: float) -> list[Said]:
        return [Said(at_s, device, "health", {"firmware": _firmware(device, at_s, disturbance)})]

    def battery(device: str, at_s: float) -> list[Said]:
        return [Said(at_s, device, "health", {"battery_percent": draw.randint(96, 100)})]

    def waiting(device: str, at_s: float) -> list[Said]:
        return [Said(at_s, device, "health", {"calls_waiting": draw.randint(0, 4)})]

    def reading(device: str, at_s: float) -> list[Said]:
        return [Said(at_s, device, "reading", {"kwh": round(4000 + at_s / HOUR * 0.8, 3)})]

    def charge(device: str, at_s: float) -> list[Said]:
        energy_wh = draw.randint(4_000, 40_000)
        charged = Said(at_s, device, "charge", {"energy_wh": energy_wh, "minutes": draw.randint(20, 90)})
        paid = {"amount": round(energy_wh * 0.0021, 2), "currency": "UAH"}
        return [charged, Said(at_s + MINUTE, device, "payment", paid)]

    for centre in CENTRES:
        yield _Speaker(centre.breakers, 6 * HOUR, 20 * MINUTE, health)
        yield _Speaker(centre.gateways, 4 * HOUR, 15 * MINUTE, version)
        yield _Speaker([centre.ups], HOUR, 2 * MINUTE, battery)
    yield _Speaker([CALLS], 6 * HOUR, 20 * MINUTE, waiting)
    yield _Speaker(METERS, 3 * HOUR, 20 * MINUTE, reading)
    yield _Speaker(CHARGERS, 6 * HOUR, 40 * MINUTE, charge)


def _reports(draw: random.Random, length_s: float, quantity: float, disturbance: Disturbance) -> Iterator[Said]:
    """What devices say by themselves, and an alarm now and then."""
    for speaker in _speakers(draw, disturbance):
        for device in speaker.devices:
            for at_s in _times(draw, speaker, length_s, quantity, disturbance):
                yield from speaker.said(device, at_s)
    for centre in CENTRES:
        for breaker in centre.breakers:
            if draw.random() < _ALARMS:
                yield Said(draw.uniform(0, 5.5 * DAY), breaker, "alarm", {"text": "SF6 pressure low", "class": 3})


def _times(
    draw: random.Random, speaker: _Speaker, length_s: float, quantity: float, disturbance: Disturbance
) -> Iterator[float]:
    at_s = draw.uniform(0, speaker.week_s / quantity)
    while at_s < length_s:
        yield at_s
        is_disturbed = disturbance.begin_s <= at_s < disturbance.end_s
        apart_s = (speaker.disturbed_s if is_disturbed else speaker.week_s) / quantity
        next_s = at_s + apart_s * draw.uniform(0.9, 1.1)
        if at_s < disturbance.begin_s < next_s:
            next_s = disturbance.begin_s + draw.uniform(0, speaker.disturbed_s / quantity)
        at_s = next_s


def _firmware(gateway: str, at_s: float, disturbance: Disturbance) -> str:
    forged_s, forged = disturbance.firmware[gateway]
    if at_s >= forged_s:
        return forged
    return _NEXT_FIRMWARE if gateway == _UPGRADED and at_s >= _UPGRADE_S + 1.5 * HOUR else _FIRMWARE


def _by_its_clock(said: Said, disturbance: Disturbance) -> Said:
    from_s, ahead_s = disturbance.ahead.get(said.device, (said.at_s + 1, 0.0))
    return Said(said.at_s, said.device, said.kind, said.body, ahead_s) if said.at_s >= from_s else said
