"""Calls of a contract with one damage each: what a caller may hand over by mistake or to do harm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

from gridledger.contract import ClientIdentity
from tests.support.contract_channel import ContractChannel

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2**63 - 1, -(2**63), 1.5, -0.0, 1e308, 1e-320),
    *("", " ", "a", "\x00", "\u202e", "é", "../..", "a/b", "00", "null", "1" * 64, "f" * 64, "g" * 64, "F" * 64),
    *("0" * 130, "04" + "1" * 128, "a" * 194, "x" * 10_000, "=", "AA==", "AB==", '{"a":1}', '{"a":1,"a":2}', "[" * 300),
    *([], [[]], {}, {"a": 1}, [None] * 65, {"": {}}),
)
#: A field, with those within: events[3].proof, synopsis.angle[0]. Of a member's name that is none only its end may
#: show.
_FIELD: Final = re.compile(r"([^:]*): .", re.DOTALL)

Call = tuple[str, dict[str, Any], ClientIdentity]


def damaged(rng: Random, argument: dict[str, Any]) -> Any:
    """A copy with one or two damages at any depth."""
    copy: Any = deepcopy(argument)
    for _ in range(rng.choice((1, 1, 1, 2))):
        places = [*_places(copy)]
        if not places:
            return rng.choice(VALUES)
        _damage(rng, *rng.choice(places))
    return copy


def check_mutations(channel: ContractChannel, calls: Sequence[Call], count: int, seed: int) -> Counter[str]:
    """Endorse ``count`` damaged calls, each twice on the same state; how many were taken, and refused by field.

    A refusal must be a 400 that begins with a field; a call that is taken must do the same both times.
    """
    rng = Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        function, argument, caller = rng.choice(calls)
        given = damaged(rng, argument)
        first, second = (channel.endorse(function, given, caller, number) for _ in range(2))
        assert first == second
        message = first.response.message
        if first.response.status == 200:
            found["taken"] += 1
            continue
        assert first.response.status == 400, f"{function} {given}: {first.response}"
        named = _FIELD.match(message)
        assert named, message
        assert (first.writes, first.event) == ((), None)
        found[named.group(1)] += 1
    return found


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _damage(rng: Random, inside: Any, key: Any) -> None:
    value = inside[key]
    kind = rng.randrange(6)
    if kind == 0:
        del inside[key]
    elif kind == 1 and isinstance(inside, dict):
        inside[rng.choice(("extra", "é\x00", key + " ", key.upper()))] = value
    elif kind == 2 and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        inside[key] = value[:at] + rng.choice("0189afgZ/ .-\x00é") + value[at + 1 :]
    elif kind == 3 and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        inside[key] = value[:at] + value[at + 1 :]
    elif kind == 4 and type(value) is int:
        inside[key] = value + rng.choice((-1, 1, 10**6, 10**17))
    elif kind == 5 and isinstance(value, list) and value:
        value.append(deepcopy(rng.choice(value)))
    else:
        inside[key] = rng.choice(VALUES)
