"""Searches find what a look at every row finds, page by page, and count what they leave out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.case.block_rows import CLOCK_S, rows_of
from services.case.errors import OutOfScope
from services.case.questions import BLOCK, SAID, Question, Scope, names_of, words_of
from services.case.rows import Row
from services.case.serving import searching
from services.case.serving.index import Index
from services.case.serving.schema import words_text
from services.case.serving.searching import Page, search
from tests.support.case_blocks import PLACES
from tests.support.case_chains import LOST, VALID, Chains, Told, event, opening
from tests.support.contract_channel import S

DEVICES = ("b-1", "b-2", "pmu-7")
OPERATORS = ("ivan", "olha")
KINDS = ("alarm", "gps", "frequency")
CHANNELS = ("access", "section-home", "section-plant")
T = 1_000 * S
TIMES = [T + i * S for i in range(0, 20, 3)]
WORDS = ("breaker", "Breaker-7", "opened", "naïve", "відкрито", "49.98", "x_y")

codes = st.sampled_from([VALID, VALID, VALID, LOST])
events = st.builds(
    event,
    st.sampled_from(DEVICES),
    st.sampled_from(KINDS),
    st.sampled_from([*TIMES, None, None, None]),
    st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
    code=codes,
)
openings = st.builds(opening, st.sampled_from(["s-1", "s-2"]), st.sampled_from(OPERATORS), st.just("t-1"), code=codes)
stories = st.lists(
    st.tuples(st.sampled_from(CHANNELS), st.sampled_from(TIMES), st.lists(events | openings, min_size=1, max_size=4)),
    min_size=3,
    max_size=6,
)
NAMES = {
    "channels": CHANNELS,
    "devices": DEVICES,
    "operators": OPERATORS,
    "sessions": ("s-1", "s-2"),
    "kinds": (*KINDS, "session-opened"),
}


@st.composite
def narrowed(draw: st.DrawFn, members: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Names for one of the members, or none: what is narrowed in several ways finds nothing."""
    member = draw(st.sampled_from([None, *members]))
    if member is None:
        return {}
    return {member: tuple(sorted(draw(st.sets(st.sampled_from(NAMES[member]), min_size=1, max_size=2))))}


@st.composite
def questions(draw: st.DrawFn) -> Question:
    begin, end = draw(st.sampled_from([(None, None), (TIMES[2], None), (None, TIMES[4]), (TIMES[1], TIMES[5])]))
    return Question(
        **draw(narrowed(tuple(NAMES))),  # type: ignore[arg-type]
        from_us=begin,
        to_us=end,
        words=draw((st.just("") | st.just("") | st.sampled_from([*WORDS, "breaker opened"])).map(words_of)),
        by=draw(st.sampled_from([SAID, SAID, BLOCK])),
        is_valid=draw(st.sampled_from([True, True, True, False])),
        limit=draw(st.sampled_from([1, 2, 1000])),
    )


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    begin, end = draw(st.sampled_from([(0, 10**15), (TIMES[1], TIMES[5])]))
    names = draw(narrowed(("channels", "devices", "operators", "kinds")))
    channels = names.get("channels", PLACES.channels)
    return Scope(channels, begin, end, names.get("devices"), names.get("operators"), names.get("kinds"))


@given(stories, st.lists(st.tuples(questions(), scopes()), min_size=5, max_size=5), st.sampled_from([0, 2, 100]))
def test_a_search_finds_what_a_look_at_every_row_finds(
    story: list[tuple[str, int, list[Told]]], asked: list[tuple[Question, Scope]], rare: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "_RARE", rare)
        index, chains = Index(Path(folder), PLACES), Chains()
        blocks = [chains.add(channel, at_us, told) for channel, at_us, told in story]
        index.add(blocks)
        rows = [row for block in blocks for row in rows_of(block.block, block.codes, PLACES)]
        for question, scope in asked:
            if not _is_within(question, scope):
                continue
            pages = [*_pages(index, question, scope)]
            expected = _Look(rows, question, scope)
            assert [row for page in pages for row in page.rows] == expected.found
            assert pages[0].left_out is not None
            assert pages[0].left_out.to_dict() == {
                "scope": expected.beyond,
                "not_valid": expected.not_valid,
                "told_elsewhere": expected.told_elsewhere,
                "undated": expected.undated,
                "limit": len(expected.found) - len(pages[0].rows),
                "counted_up_to": searching.COUNTED,
            }
            assert all(page.left_out is None for page in pages[1:])
        index.close()


def test_one_transaction_is_found_with_all_its_events(index: Index, chains: Chains) -> None:
    several = Told("LogEvents", {"device": "b-1", "events": [{"seq": i, "kind": "gps", "time_us": T} for i in (1, 2)]})
    index.add([chains.add("section-home", T, [event("b-1", "alarm", T), several, event("b-2", "alarm", T)])])
    rows = search(index.reader(), index.channels, Question(), _everything()).rows
    wanted = {rows[1].tx_id, rows[3].tx_id}
    found = search(index.reader(), index.channels, Question(transactions=names_of(wanted)), _everything()).rows
    assert found == rows[1:]


def test_more_than_is_counted_is_told_as_so_many(index: Index, chains: Chains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "COUNTED", 3)
    index.add([chains.add("section-home", T, [event("b-1", "alarm", T) for _ in range(9)])])
    left_out = search(index.reader(), index.channels, Question(limit=2), _everything()).left_out
    assert left_out is not None
    assert left_out.limit == 3
    narrow = replace(_everything(), devices=("b-2",))
    beyond = search(index.reader(), index.channels, Question(), narrow).left_out
    assert beyond is not None
    assert beyond.scope == 3


def _is_within(question: Question, scope: Scope) -> bool:
    try:
        scope.check(question)
    except OutOfScope:
        return False
    return True


def _everything() -> Scope:
    return Scope(PLACES.channels, 0, 10**15, None, None, None)


def _pages(index: Index, question: Question, scope: Scope) -> Iterator[Page]:
    while True:
        page = search(index.reader(), index.channels, question, scope)
        assert len(page.rows) <= question.limit
        yield page
        if page.bookmark is None:
            return
        assert len(page.rows) == question.limit
        question = Question.from_dict(replace(question, bookmark=page.bookmark).to_dict())


class _Look:
    """What every row is looked at for."""

    def __init__(self, rows: list[Row], question: Question, scope: Scope) -> None:
        self._question, self._scope = question, scope
        begin = scope.from_us if question.from_us is None else question.from_us
        end = scope.to_us if question.to_us is None else question.to_us
        asked = [row for row in rows if self._is_asked(row)]
        right = [row for row in asked if row.is_valid == question.is_valid]
        time = self._time_of

        def within(at_us: int | None) -> bool:
            return at_us is not None and begin <= at_us < end

        covered = [row for row in right if self._is_covered(row)]
        dated = [row for row in covered if within(time(row))]
        undated = [row for row in covered if time(row) is None and within(row.block_us)]
        number = {name: i for i, name in enumerate(PLACES.channels)}

        def chain_order(row: Row) -> Any:
            return number[row.channel], row.block, row.position, row.item

        self.found = sorted(dated, key=lambda row: (time(row), chain_order(row))) + sorted(undated, key=chain_order)
        self.undated = len(undated)
        others = [row for row in asked if not row.is_valid and self._is_covered(row) and within(time(row))]
        self.not_valid = len(others) if question.is_valid else 0
        self.told_elsewhere = len([row for row in covered if self._is_elsewhere(row, within)])
        self.beyond = len([row for row in right if self._is_beyond(row)])

    def _time_of(self, row: Row) -> int | None:
        return row.said_us if self._question.by == SAID else row.block_us

    def _is_asked(self, row: Row) -> bool:
        question = self._question
        told = words_text(row.text, row.kind, row.device, row.operator, row.terminal, row.session).casefold()
        has = set(re.findall(r"[\w-]+", told))
        return (
            (question.channels is None or row.channel in question.channels)
            and (question.devices is None or row.device in question.devices)
            and (question.operators is None or row.operator in question.operators)
            and (question.sessions is None or row.session in question.sessions)
            and (question.kinds is None or row.kind in question.kinds)
            and {word.casefold() for word in question.words} <= has
        )

    def _is_covered(self, row: Row) -> bool:
        scope = self._scope
        return (
            row.channel in scope.channels
            and (scope.devices is None or row.device is None or row.device in scope.devices)
            and (scope.operators is None or row.operator is None or row.operator in scope.operators)
            and (scope.kinds is None or row.kind in scope.kinds)
        )

    def _is_elsewhere(self, row: Row, within: Callable[[int | None], bool]) -> bool:
        if self._question.by == BLOCK or row.said_us is None:
            return False
        return within(row.block_us) and not within(row.said_us) and abs(row.block_us - row.said_us) > CLOCK_S * S

    def _is_beyond(self, row: Row) -> bool:
        at_us, question = self._time_of(row), self._question
        if at_us is None:
            return False
        own = (question.from_us is None or at_us >= question.from_us) and (
            question.to_us is None or at_us < question.to_us
        )
        begin, end = self._scope.bounds
        if question.from_us is None and at_us < begin:
            return own
        if question.to_us is None and at_us >= end:
            return own
        return own and begin <= at_us < end and not self._is_covered(row)
