"""Leadership of many channels, shared by the orderers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orderer.balance import NOT_BACK_S, Balance, HandOver, to_hand_over
from services.orderer.raft.errors import TransferFailed
from services.orderer.raft.interface import FollowerStatus, GroupStatus, Leadership, Membership, Role

NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("leaders", "heirs", "chosen"),
    [
        ("aab", {"1": "bc", "2": "bc"}, HandOver("1", "c")),
        ("ab", {"1": "bc"}, None),
        ("aabbcc", {"1": "bc", "2": "bc"}, None),
        ("aabb", {"1": "b", "2": "b"}, None),
        ("aaab", {"1": "b", "2": "b", "3": "b"}, HandOver("1", "b")),
        ("aaab", {"2": "b"}, HandOver("2", "b")),
        ("aaa", {}, None),
        ("bbb", {"1": "ac"}, None),
    ],
)
def test_a_channel_goes_to_whoever_leads_two_fewer(
    leaders: str, heirs: dict[str, str], chosen: HandOver | None
) -> None:
    """Channel 1 is led by the first letter, and so on."""
    assert to_hand_over("a", {str(n): name for n, name in enumerate(leaders, 1)}, heirs) == chosen


@given(st.lists(st.sampled_from(NAMES), max_size=12))
def test_handing_over_ends_with_nobody_two_ahead(leaders: list[str]) -> None:
    now = {str(number): name for number, name in enumerate(leaders)}
    for _ in range(20):
        given_away = [
            chosen for name in NAMES if (chosen := to_hand_over(name, now, dict.fromkeys(now, NAMES))) is not None
        ]
        for chosen in given_away[:1]:
            now[chosen.channel] = chosen.heir
    counts = Counter(dict.fromkeys(NAMES, 0))
    counts.update(now.values())
    assert max(counts.values()) - min(counts.values()) <= 1


@dataclass
class Following:
    """A channel's follower."""

    step: str = ""


@dataclass
class Open:
    """A channel."""

    follower: Following = field(default_factory=Following)


class Led:
    """What consensus says of channels whose leader is set: a, b and c vote, a is asked."""

    def __init__(self, leaders: dict[str, str]) -> None:
        self.leaders = leaders
        self.learners: frozenset[str] = frozenset()
        self.silent: set[str] = set()
        self.behind: set[str] = set()
        self.fails = False
        self.asked: list[tuple[str, str]] = []

    def leader(self, channel: str) -> str | None:
        return self.leaders[channel] or None

    def leadership(self, channel: str) -> Leadership:
        leads = self.leaders[channel] == "a"
        return Leadership(channel, 1, self.leaders[channel], is_self=leads, ready=leads)

    def status(self, channel: str) -> GroupStatus:
        followers = {
            name: FollowerStatus(1 if name in self.behind else 500, 501, "replicate", name not in self.silent, 1)
            for name in ("b", "c")
        }
        members = Membership(frozenset(NAMES), self.learners)
        return GroupStatus(channel, Role.LEADER, 1, "a", 500, 500, 1, 500, 500, 0, members, 0, followers=followers)

    async def transfer_leadership(self, channel: str, to: str, *, timeout_s: float | None = None) -> None:
        assert timeout_s is not None
        self.asked.append((channel, to))
        if self.fails:
            raise TransferFailed("no")
        self.leaders[channel] = to


def balance(led: Led, *, every_s: float = 10.0) -> tuple[Balance, dict[str, Open]]:
    channels = {channel: Open() for channel in led.leaders}
    made = Balance("a", led, channels, every_s)  # type: ignore[arg-type]
    made.note_leaders(0.0)
    return made, channels


def test_heirs_are_voters_that_are_heard_and_close() -> None:
    led = Led({"1": "a"})
    made, channels = balance(led)
    assert made.heirs_of("1", 1.0) == ["b", "c"]
    led.silent = {"b"}
    assert made.heirs_of("1", 1.0) == ["c"]
    led.behind = {"c"}
    assert made.heirs_of("1", 1.0) == []
    led.silent, led.behind = set(), set()
    led.learners = frozenset(("d",))
    assert made.heirs_of("1", 1.0) == []
    led.learners = frozenset()
    channels["1"].follower.step = "d has not announced itself"
    assert made.heirs_of("1", 1.0) == []


def test_a_channel_does_not_go_back_to_whom_it_was_taken_from() -> None:
    """Nor where nobody led it between: it may have failed."""
    led = Led({"1": "b"})
    made, _ = balance(led)
    led.leaders["1"] = ""
    made.note_leaders(1.0)
    led.leaders["1"] = "a"
    made.note_leaders(2.0)
    assert made.heirs_of("1", 2.0 + NOT_BACK_S - 1) == ["c"]
    assert made.heirs_of("1", 2.0 + NOT_BACK_S) == ["b", "c"]


def test_a_channel_that_was_left_is_forgotten() -> None:
    led = Led({"1": "a", "2": "a"})
    made, channels = balance(led)
    del channels["2"], led.leaders["2"]
    made.note_leaders(1.0)
    assert made.leaders == {"1": "a"}


async def test_one_channel_is_handed_over_at_a_time() -> None:
    led = Led({"1": "a", "2": "a", "3": "a"})
    made, _ = balance(led)
    await made.hand_one_over(1.0)
    assert led.asked == [("1", "b")]
    made.note_leaders(2.0)
    led.fails = True
    await made.hand_one_over(2.0)
    assert led.asked == [("1", "b"), ("2", "c")]
    led.fails = False
    await made.hand_one_over(3.0)
    made.note_leaders(4.0)
    assert led.leaders == {"1": "b", "2": "c", "3": "a"}
    await made.hand_one_over(5.0)
    assert len(led.asked) == 3


async def test_balancing_can_be_switched_off() -> None:
    led = Led({"1": "a", "2": "a"})
    made, _ = balance(led, every_s=0.0)
    await made.run()
    assert led.asked == []
