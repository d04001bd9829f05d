"""The attack of 23 December 2015 on three Ukrainian distribution companies, as a made-up week with a seed.

What is known of it (E-ISAC and SANS, *Analysis of the Cyber Attack on the Ukrainian Power Grid*, 18 March 2016): months
of reconnaissance with stolen credentials over VPN; at 15:30 breakers of about thirty substations opened from the
operators' own control systems in three control centres; operators locked out; firmware of serial-to-Ethernet gateways
overwritten; a scheduled outage of UPSs; a flood of calls to a call centre. The week here is Thursday 17 to Wednesday 23
December, each control centre a city of the network. Names, times within a day and all that is ordinary are made up.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
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
    SUBSTATIONS,
    Centre,
    cast,
)
from services.case.replay.ordinary import Disturbance, ordinary
from services.case.replay.story import (
    Denial,
    Happening,
    Login,
    Logout,
    Order,
    Pace,
    Planted,
    Said,
    Story,
    Truth,
)
from services.case.rules.catalogue import RULES

LENGTH_S: Final = 7 * DAY
ATTACK_S: Final = 6 * DAY + 15.5 * HOUR
"""Wednesday, 15:30."""
SLOW: Final = (ATTACK_S - 30 * MINUTE, ATTACK_S + HOUR)
"""What is played slowly: 15:00 to 16:30 on Wednesday."""
SLOW_SHARE: Final = 0.25
"""Of the replay's time."""
FOREIGN: Final = "vpn-44"
"""The terminal from which stolen credentials are used."""
WRONG_CLOCK: Final = METERS[2]
UNPAID: Final = CHARGERS[1]
CLOCK_S: Final = 5 * DAY
"""When that clock goes wrong."""
_AHEAD_S: Final = 6.0
_NIGHT, _FORGED = "remote maintenance", "0.0.0"


def story(seed: int, *, replay_s: float = 180.0, quantity: float = 1.0) -> Story:
    """The week. It is played in ``replay_s`` seconds; ``quantity``: how much of what is ordinary happens."""
    attack = _Attack(random.Random(f"{seed} attack"))  # noqa: S311 -- a story, no secret
    draw = random.Random(f"{seed} ordinary")  # noqa: S311
    happenings: list[Happening] = [*attack.happenings()]
    happenings += ordinary(draw, LENGTH_S, quantity, attack.disturbance())
    happenings.sort(key=lambda each: (each.at_s, type(each).__name__, repr(each)))
    return Story(seed, LENGTH_S, cast(), tuple(happenings), attack.truth(), pace(replay_s))


def pace(replay_s: float) -> Pace:
    """The attack's hour and a half takes a quarter of the replay."""
    rest = LENGTH_S - (SLOW[1] - SLOW[0])
    begin = replay_s * (1 - SLOW_SHARE) * SLOW[0] / rest
    return Pace(((0.0, 0.0), (SLOW[0], begin), (SLOW[1], begin + replay_s * SLOW_SHARE), (LENGTH_S, replay_s)))


def parameters(played: Pace) -> dict[str, dict[str, float]]:
    """The rules' parameters for the replay: spans of an hour and more by the week's pace, shorter by the attack's."""
    week, attack = played.faster(0.0), played.faster(ATTACK_S)
    return {
        rule.name: {
            each.name: each.default / (week if each.default >= HOUR else attack)
            for each in rule.parameters
            if each.scales
        }
        for rule in RULES
        if any(each.scales for each in rule.parameters)
    }


class _Attack:
    """What the attackers do, and what follows from it."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.reconnaissance = {each: self._nights(each) for each in CENTRES}
        self.final = {each: f"{each.city}-x-final" for each in CENTRES}
        self.openings = self._order()
        self._firmware_s = {
            name: ATTACK_S + draw.uniform(32, 48) * MINUTE for each in CENTRES for name in each.gateways
        }

    def _nights(self, centre: Centre) -> list[Login]:
        """Two sessions at night, from the fourth day on: the day shift was there three times by then."""
        night = CENTRES.index(centre)
        return [
            Login(
                (3 + 1.2 * number) * DAY + (2.2 + 0.7 * night + self._draw.uniform(0, 0.5)) * HOUR,
                f"{centre.city}-x-{number + 1}",
                centre.operator(DAY_SHIFT),
                FOREIGN,
                centre.section,
                _NIGHT,
            )
            for number in range(2)
        ]

    def _order(self) -> list[tuple[float, Centre, str]]:
        """Thirty breakers, about a minute apart, the three centres in turn and each in an order of its own."""
        queues = {each: self._draw.sample(each.breakers, SUBSTATIONS) for each in CENTRES}
        at_s, found = ATTACK_S, []
        for _ in range(SUBSTATIONS):
            for centre in self._draw.sample(CENTRES, len(CENTRES)):
                found.append((at_s, centre, queues[centre].pop()))
                at_s += self._draw.uniform(50, 70)
        return found

    def happenings(self) -> Iterator[Happening]:
        """All of it, not sorted."""
        for centre in CENTRES:
            yield from self._looking_around(centre)
            yield from self._at_the_centre(centre)
        for at_s, centre, breaker in self.openings:
            yield Order(at_s, self.final[centre], breaker, "open", obeyed=True)
        for number in range(45):
            body = {"calls_waiting": 40 + number, "text": "queue full"}
            yield Said(ATTACK_S + 8 * MINUTE + number * 20.0, CALLS, "alarm", body)
        yield Said(4 * DAY + 20 * HOUR, UNPAID, "payment", {"amount": 18.40, "currency": "UAH"})

    def _looking_around(self, centre: Centre) -> Iterator[Happening]:
        """Sessions at night that read configurations; the very first one is left open."""
        for number, login in enumerate(self.reconnaissance[centre]):
            yield login
            for step, gateway in enumerate(centre.gateways):
                yield Order(login.at_s + (0.4 + 0.3 * step) * HOUR, login.session, gateway, "read-config")
            if number or centre != CENTRES[0]:
                yield Logout(login.at_s + 1.2 * HOUR, login.session)

    def _at_the_centre(self, centre: Centre) -> Iterator[Happening]:
        operator, terminal = centre.operator(DAY_SHIFT), centre.terminal(DAY_SHIFT)
        session = self.final[centre]
        yield Login(ATTACK_S - 12 * MINUTE, session, operator, FOREIGN, centre.section, _NIGHT)
        yield Logout(ATTACK_S + 55 * MINUTE, session)
        for number in range(5):
            at_s = ATTACK_S + (4 + 2 * number + self._draw.uniform(0, 1)) * MINUTE
            yield Denial(at_s, centre.organisation, operator, terminal, "wrong password")
        yield Said(ATTACK_S + 2 * MINUTE, centre.ups, "outage", {"text": "output off by schedule"})
        for gateway in centre.gateways:
            yield Said(self._firmware_s[gateway], gateway, "config", {"firmware": _FORGED})

    def disturbance(self) -> Disturbance:
        """How it changes what is ordinary: the day shift is thrown out, devices report more often, some fall silent."""
        return Disturbance(
            begin_s=SLOW[0],
            end_s=SLOW[1],
            thrown_out_s=ATTACK_S + 3 * MINUTE,
            silent_from_s={centre.ups: ATTACK_S + 2 * MINUTE for centre in CENTRES},
            firmware={name: (at_s, _FORGED) for name, at_s in self._firmware_s.items()},
            ahead={WRONG_CLOCK: (CLOCK_S, _AHEAD_S)},
        )

    def truth(self) -> Truth:
        """What must be found."""
        first = min((each for nights in self.reconnaissance.values() for each in nights), key=lambda each: each.at_s)
        planted = [
            Planted(
                "the first foreign login" if each[0] == first else "a stolen credential at another terminal",
                "new-terminal",
                {"session": each[0].session, "operator": each[0].operator, "terminal": FOREIGN},
                each[0].at_s,
            )
            for each in self.reconnaissance.values()
        ]
        left_open = self.reconnaissance[CENTRES[0]][0]
        planted.append(
            Planted(
                "a foreign session left open", "session-without-logout", {"session": left_open.session}, left_open.at_s
            )
        )
        for centre in CENTRES:
            operator, desk = centre.operator(DAY_SHIFT), centre.terminal(DAY_SHIFT)
            locked = {"operator": operator, "terminal": desk}
            planted += [
                Planted("a credential in two sessions at once", "suspicious-session", {"operator": operator}, ATTACK_S),
                Planted("an operator locked out", "locked-out", locked, ATTACK_S + 4 * MINUTE),
                Planted("a UPS outage", "device-silent", {"device": centre.ups}, ATTACK_S + 2 * MINUTE),
            ]
            planted += [
                Planted("changed firmware", "firmware-changed", {"device": gateway}, self._firmware_s[gateway])
                for gateway in centre.gateways
            ]
        planted += [
            Planted("thirty substations opened", "many-openings", {}, ATTACK_S),
            Planted("the flood of calls", "alarm-burst", {"device": CALLS}, ATTACK_S + 8 * MINUTE),
            Planted("a clock that is wrong", "clock", {"device": WRONG_CLOCK}, CLOCK_S),
            Planted("a payment without energy", "payment-without-energy", {"device": UNPAID}, 4 * DAY + 20 * HOUR),
        ]
        openings = tuple(breaker for _, _, breaker in self.openings)
        foreign = {login.session for nights in self.reconnaissance.values() for login in nights}
        return Truth(
            planted=tuple(sorted(planted, key=lambda each: (each.at_s, each.rule, sorted(each.subject.values())))),
            openings=openings,
            sessions=frozenset((*foreign, *self.final.values())),
            devices=frozenset(
                (*openings, CALLS, WRONG_CLOCK, UNPAID, *self._firmware_s, *(each.ups for each in CENTRES))
            ),
            terminals=frozenset((FOREIGN, *(each.terminal(DAY_SHIFT) for each in CENTRES))),
        )
