"""The law of shares: what a pool promises, under every order of asking and giving back."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridledger.errors import BusyError
from gridledger.shares import KEPT_PART, Caller, Holder, Pool

CALLERS = st.tuples(st.sampled_from(("Org1MSP", "Org2MSP", "Org3MSP")), st.sampled_from("abcd"))
ALICE, BOB, CAROL = ("Org1MSP", "alice"), ("Org1MSP", "bob"), ("Org2MSP", "carol")


def pool_of(total: int) -> Pool:
    return Pool("places", total, retry_after_s=0.2)


def fill(pool: Pool, caller: Caller) -> list[Holder]:
    """Take places until one is refused."""
    taken = []
    try:
        while True:
            taken.append(pool.take(caller))
    except BusyError:
        return taken


class Model(RuleBasedStateMachine):
    """A pool beside the plainest bookkeeping, and the law as the module's docstring states it."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Caller, list[tuple[Holder, int]]] = defaultdict(list)

    @initialize(total=st.integers(1, 60))
    def make(self, total: int) -> None:
        self.pool = pool_of(total)
        self.total = total
        self.kept = total // KEPT_PART if total >= KEPT_PART else total // 4

    def of(self, caller: Caller) -> int:
        return sum(amount for _, amount in self.held[caller])

    def of_organisation(self, organisation: str) -> int:
        return sum(self.of(caller) for caller in list(self.held) if caller[0] == organisation)

    def is_below(self, caller: Caller, amount: int) -> tuple[bool, bool]:
        """Whether the caller, and whether its organisation, is below its share."""
        holding = {known for known in self.held if self.of(known)} | {caller}
        share = self.total / (len({organisation for organisation, _ in holding}) + 1)
        of_caller = share / (len([1 for organisation, _ in holding if organisation == caller[0]]) + 1)
        mine, ours = self.of(caller), self.of_organisation(caller[0])
        return not mine or mine + amount <= of_caller, not ours or ours + amount <= share

    @rule(caller=CALLERS, amount=st.integers(1, 5))
    def take(self, caller: Caller, amount: int) -> None:
        left = self.total - sum(map(self.of, list(self.held))) - amount
        is_below, ours_is_below = self.is_below(caller, amount)
        lawful = left >= self.kept or (left >= 0 and is_below and (ours_is_below or left >= self.kept // 2))
        try:
            self.held[caller].append((self.pool.take(caller, amount), amount))
        except BusyError:
            assert not lawful
        else:
            assert lawful

    @rule(caller=CALLERS)
    def give(self, caller: Caller) -> None:
        if self.held[caller]:
            holder, amount = self.held[caller].pop(0)
            holder.give(amount)

    @invariant()
    def never_more_than_all(self) -> None:
        used = sum(map(self.of, list(self.held)))
        assert self.pool.used == used <= self.total
        assert all(self.pool.held_by(caller) == self.of(caller) for caller in list(self.held))
        assert self.pool.present == len({caller[0] for caller in list(self.held) if self.of(caller)})


TestTheLaw = Model.TestCase
TestTheLaw.settings = settings(deadline=None)


@settings(deadline=None)
@given(st.integers(8, 2000))
def test_one_caller_alone_may_have_all_but_what_is_kept(total):
    pool = pool_of(total)
    assert len(fill(pool, ALICE)) == total - total // KEPT_PART


@settings(deadline=None)
@given(st.integers(16, 400), st.sets(CALLERS, min_size=1, max_size=6))
def test_newcomers_reach_their_shares_by_what_the_first_gives_back(total, newcomers):
    """However greedy the first is: it asks again at once for whatever it gives back."""
    pool, greedy = pool_of(total), ("Org9MSP", "greedy")
    mine = fill(pool, greedy)
    for _ in range(2 * total):
        for caller in newcomers:
            fill(pool, caller)
        if not mine:
            break
        mine.pop().give()
        mine += fill(pool, greedy)
    of_organisation = total / (len({caller[0] for caller in newcomers}) + 2)
    for caller in newcomers:
        peers = sum(1 for other in newcomers if other[0] == caller[0])
        assert pool.held_by(caller) >= max(1, int(of_organisation / (peers + 1)))
    assert pool.used <= total


@settings(deadline=None)
@given(st.integers(16, 400))
def test_many_names_of_one_organisation_leave_places_to_another(total):
    pool = pool_of(total)
    for number in range(2 * total):
        fill(pool, ("Org1MSP", f"name-{number}"))
    assert pool.take(CAROL).held == 1


@settings(deadline=None)
@given(st.integers(8, 200), st.lists(CALLERS, min_size=1, max_size=30))
def test_who_is_below_its_share_takes_the_place_of_who_is_above(total, newcomers):
    pool, ended = pool_of(total), []

    def hold(caller: Caller) -> bool:
        def end() -> None:
            ended.append(end)

        try:
            pool.take(caller, end=end)
        except BusyError:
            return False
        return True

    while hold(("Org1MSP", "greedy")):
        pass
    for caller in newcomers:
        mine, of_greedy = pool.held_by(caller), pool.held_by(("Org1MSP", "greedy"))
        ours = sum(pool.held_by((caller[0], name)) for name in ("a", "b", "c", "d", "greedy"))
        assert hold(caller) or mine or (caller[0] != "Org1MSP" and ours + 1 >= of_greedy)
        assert pool.used <= total
    assert len(ended) == len(set(map(id, ended)))


def test_a_place_that_was_taken_back_is_not_given_twice():
    pool, ended = pool_of(4), []
    places = []

    def end() -> None:
        ended.append("alice")

    def end_too() -> None:
        ended.append("alice too")

    places = [(pool.take(ALICE, end=one), one) for one in (end, end_too)]
    third = pool.take(ALICE)
    pool.take(BOB)
    pool.take(CAROL)
    assert ended == ["alice too"]
    for holder, one in places:
        holder.give(end=one)
    third.give()
    assert (pool.used, pool.held_by(ALICE)) == (2, 0)


def test_a_refusal_says_how_many_are_ones_own():
    pool = pool_of(16)
    fill(pool, ALICE)
    with pytest.raises(BusyError, match="14 places of at most 16 are under way here, 14 of them yours") as caught:
        pool.take(ALICE)
    assert caught.value.retry_after_s == 0.2


def test_another_total_takes_nobodys_place():
    pool = pool_of(100)
    fill(pool, ALICE)
    pool.resize(10)
    assert pool.used == 88
    with pytest.raises(BusyError):
        pool.take(BOB)
    pool.resize(200)
    assert pool.take(BOB).held == 1


def test_callers_without_places_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr("gridledger.shares._MAX_REMEMBERED", 10)
    pool = pool_of(100)
    kept = pool.take(ALICE)
    for number in range(100):
        pool.take((f"Org{number}MSP", "x")).give()
    assert len(pool._holders) <= 11
    assert pool.held_by(ALICE) == 1
    kept.give()
    assert (pool.used, pool.present) == (0, 0)
