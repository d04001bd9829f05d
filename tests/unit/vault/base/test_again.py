"""When what failed is tried again."""

from __future__ import annotations

from random import Random

from services.vault.base import again
from services.vault.base.again import LONGEST_PAUSE_S, Again

KEY = ("oil", "m1-2")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_is_tried_later_and_later_and_at_once_after_a_success() -> None:
    clock = Clock()
    tries = Again(30.0, clock, Random(1))
    assert tries.is_due(KEY)
    pauses: list[float] = []
    for _ in range(12):
        tries.failed(KEY, "away")
        since_s = clock.now_s
        while not tries.is_due(KEY):
            clock.now_s += 1
        pauses.append(clock.now_s - since_s)
    assert 15 <= pauses[0] <= 31
    assert all(LONGEST_PAUSE_S / 2 <= pause <= LONGEST_PAUSE_S + 1 for pause in pauses[-3:])
    tries.failed(KEY, "away")
    tries.succeeded(KEY)
    assert tries.is_due(KEY)


def test_only_a_new_reason_is_news() -> None:
    tries = Again(30.0, Clock(), Random(1))
    assert [tries.failed(KEY, why) for why in ("away", "away", "full", "away")] == [True, False, True, True]
    tries.keep(["gas"])
    assert tries.is_due(KEY)
    assert tries.failed(KEY, "away")


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(again, "_MOST", 3)
    tries = Again(30.0, Clock(), Random(1))
    for number in range(5):
        tries.failed((f"o{number}", "m1-2"), "away")
    assert [tries.is_due((f"o{number}", "m1-2")) for number in range(5)] == [True, True, False, False, False]
