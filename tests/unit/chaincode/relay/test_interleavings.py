"""Any number of servers, in any order, endorsed and ordered apart, with restarts, replays, liars and new revisions.

Each minute is recorded once, no voice is changed, and the text of record is the one with a quorum, never two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.field.capture import text_hash
from gridledger.protocol.result import Result
from tests.support.relay_channel import MINUTE, OPERATOR, RECORD, RelayChannel, S, after, recording, server, told

MINUTES = range(MINUTE, MINUTE + 3)
SUCCESS = 200


@dataclass
class World:
    """Servers around one channel. ``texts``: which of three texts each server has of each minute; 0 is the relay's."""

    servers: int
    quorum: int
    texts: dict[tuple[int, int], int]
    channel: RelayChannel = field(init=False)
    record: dict[str, Any] = field(init=False)
    endorsed: list[tuple[Result, int]] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        servers = [{"id": f"s{number}", "mspid": f"M{number}"} for number in range(self.servers)]
        self.record = RECORD | {"servers": servers, "quorum": self.quorum}
        self.channel = RelayChannel().register(servers=servers, quorum=self.quorum)

    def text(self, who: int, minute: int) -> str:
        """What a server has read of a minute, or says that it has."""
        return told(minute, seed=self.texts.get((who, minute), 0))

    def argument(self, function: str, who: int, minute: int) -> dict[str, Any]:
        """What a server that knows nothing of what it did before hands over."""
        own = self.text(who, minute)
        if function == "UpdateRelay":  # an operator that would like other rules
            return self.record | {"quorum": self.servers if minute == MINUTE else self.quorum, "reading_s": 1 + who}
        if function == "RecordCapture":
            return recording(own)
        at: dict[str, Any] = {"relay": "Rele_1", "minute": minute}
        if function == "Conclude":
            return at
        recorded = self.channel.stored(f"capture/Rele_1/{minute:010d}")
        differs = recorded is not None and recorded["sha256"] != text_hash(own)
        return at | {"sha256": text_hash(own)} | ({"text": own} if differs else {})

    def endorse(self, function: str, who: int, minute: int, late_s: int) -> None:
        """Have a call endorsed now; it is ordered when :meth:`order` says so, or never."""
        self.calls += 1
        time_us = after(MINUTES[-1]) + late_s * S
        caller = OPERATOR if function == "UpdateRelay" else server(f"s{who}", f"M{who}")
        result = self.channel.endorse(function, self.argument(function, who, minute), caller, time_us, self.calls)
        assert result.response.status in (SUCCESS, 400), result.response.message
        if result.response.status == SUCCESS:
            self.endorsed.append((result, time_us))

    def order(self, which: int) -> None:
        """Order one of the endorsed transactions, whichever was endorsed first."""
        if self.endorsed:
            self.channel.order(*self.endorsed.pop(which % len(self.endorsed)))

    def settle(self) -> None:
        """Every server does all its work, one after the other; then all is told."""
        for function in ("RecordCapture", "AttestCapture", "Conclude"):
            for who in range(self.servers):
                for minute in MINUTES:
                    self.endorse(function, who, minute, 200)
                    self.order(-1)

    def check(self) -> None:
        """What must hold at any time."""
        for minute in MINUTES:
            for key in (f"capture/Rele_1/{minute:010d}", *self.attestations(minute)):
                assert len(list(self.channel.state.history("", key))) <= 1, f"{key} was written twice"
            verdicts = [entry.value for entry in self.channel.state.history("", f"verdict/Rele_1/{minute:010d}")]
            confirmed = {verdict["sha256"] for verdict in verdicts if verdict["status"] == "confirmed"}
            assert len(confirmed) <= 1
            assert not confirmed or verdicts[0]["status"] == "confirmed", "a confirmed minute is confirmed for good"
            for verdict in verdicts:
                self.check_verdict(minute, verdict)
            disputed = bool(verdicts) and verdicts[0]["status"] == "disputed"
            assert (self.channel.stored(f"dispute/Rele_1/{minute:010d}") is not None) == disputed

    def check_verdict(self, minute: int, verdict: dict[str, Any]) -> None:
        """A verdict names who told what, and a text of record has a quorum."""
        told_by = {name: text_hash(self.text(int(name[1:]), minute)) for name in verdict["for"] + verdict["against"]}
        agreeing = {told_by[name] for name in verdict["for"]}
        assert len(agreeing) == 1
        assert not agreeing & {told_by[name] for name in verdict["against"]}
        if verdict["status"] == "confirmed":
            assert agreeing == {verdict["sha256"]} == {told_by[verdict["by"]]}
            assert len(verdict["for"]) >= self.quorum_of(minute)

    def quorum_of(self, minute: int) -> int:
        """The quorum of the revision that a minute was recorded under."""
        revision = self.channel.stored(f"capture/Rele_1/{minute:010d}")["revision"]
        return int(self.channel.stored(f"revision/Rele_1/{revision:08d}")["quorum"])

    def attestations(self, minute: int) -> list[str]:
        """The keys under which others than the winner may tell."""
        return [f"attest/Rele_1/{minute:010d}/s{number}" for number in range(self.servers)]

    def check_settled(self) -> None:
        """Once all have told: each minute is recorded, and confirmed where a text has a quorum."""
        for minute in MINUTES:
            count = Counter(text_hash(self.text(who, minute)) for who in range(self.servers))
            text, voices = count.most_common(1)[0]
            got = self.channel.get(minute)
            assert len(got["attestations"]) == self.servers - 1
            if voices >= self.quorum_of(minute):
                assert got["verdict"]["status"] == "confirmed"
                assert text_hash(got["record"]["text"]) == got["record"]["sha256"] == text
                liars = {f"s{who}" for who in range(self.servers) if text_hash(self.text(who, minute)) != text}
                assert set(got["verdict"]["against"]) == liars
            else:
                assert (got["verdict"]["status"], got["record"]) == ("disputed", None)


calls = st.tuples(
    st.sampled_from(["RecordCapture", "AttestCapture", "Conclude", "UpdateRelay"]),
    st.integers(0, 6),
    st.sampled_from(MINUTES),
    st.integers(0, 300),
)
steps = st.lists(calls | st.integers(0, 50), max_size=60)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """1 to 7 servers, any quorum over half, any of them liars or misled."""
    servers = draw(st.integers(1, 7))
    told_otherwise = st.dictionaries(
        st.tuples(st.integers(0, servers - 1), st.sampled_from(MINUTES)), st.integers(0, 2), max_size=9
    )
    return World(servers, draw(st.integers(servers // 2 + 1, servers)), draw(told_otherwise))


def run(world: World, work: Sequence[Any]) -> None:
    """Do all steps, an integer ordering one of what is endorsed; then let every server finish."""
    for step in work:
        if isinstance(step, int):
            world.order(step)
        else:
            function, who, minute, late_s = step
            world.endorse(function, who % world.servers, minute, late_s)
    world.check()
    world.settle()
    world.check()
    world.check_settled()


@given(worlds(), steps)
@settings(deadline=None)
def test_no_minute_has_two_texts_of_record(world: World, work: Sequence[Any]) -> None:
    run(world, work)


@pytest.mark.long
@pytest.mark.timeout(900)
@given(worlds(), steps)
@settings(deadline=None, max_examples=5000)
def test_no_minute_has_two_texts_of_record_deeply(world: World, work: Sequence[Any]) -> None:
    run(world, work)
