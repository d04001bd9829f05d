"""What endorsers' responses differ in, as a client is shown it."""

from __future__ import annotations

from typing import Any

from gridledger import jsontext
from gridledger.protocol.result import Event, RangeRead, Read, Response, Version
from services.peer.endorser.endorser import ProposalResponse
from services.peer.gateway.comparison import MAX_SHOWN, MAX_SHOWN_CHARACTERS, differences, height_seen, saw_the_same
from tests.support.paper import PaperNetwork

PAPER = PaperNetwork()
PROPOSAL = PAPER.proposal()


def response(
    writes: dict[str, Any] | None = None, *, peer: str = "peer1", height: int = 10, payload: Any = None, **result: Any
) -> ProposalResponse:
    made = PAPER.result(PROPOSAL, writes, response=Response(200, "", payload), **result)
    return ProposalResponse(made.text, PAPER.endorsement(peer, made), height)


def read(**versions: tuple[int, int] | None) -> list[Read]:
    return [Read(key, None if at is None else Version(*at)) for key, at in versions.items()]


def test_a_height_is_what_was_said_or_what_was_read() -> None:
    assert height_seen(response(height=10)) == 10
    assert height_seen(response(height=10, reads=read(a=(9, 0), b=None))) == 10
    assert height_seen(response(height=10, reads=read(a=(3, 0), b=(10, 4)))) == 11
    assert height_seen(response(height=2, ranges=[RangeRead("a", "c", (Read("b", Version(6, 0)),))])) == 7


def test_the_same_reads_are_told_from_others() -> None:
    same = [response({"k": n}, height=n, reads=read(a=(9, 0))) for n in (1, 2)]
    assert saw_the_same(dict(zip("ab", same, strict=True)))
    assert not saw_the_same({"a": same[0], "b": response({"k": 1}, reads=read(a=(8, 0)))})
    ranges = [RangeRead("a", "c", (Read("b", Version(6, 0)),))]
    assert not saw_the_same({"a": same[0], "b": response({"k": 1}, ranges=ranges, reads=read(a=(9, 0)))})


def test_only_what_differs_is_shown() -> None:
    one = response({"k": 1, "same": 0}, height=10, payload="a", reads=read(r=(9, 0), s=(1, 0)))
    other = response({"k": 2, "same": 0, "more": None}, height=9, payload="b", reads=read(r=(8, 0), s=(1, 0)))
    assert differences({"peer1": one, "peer2": other}) == {
        "peer1": {
            "height": 10,
            "reads": {"r": [9, 0]},
            "writes": {"k": 1, "more": "absent"},
            "response": [200, "", "a"],
        },
        "peer2": {"height": 9, "reads": {"r": [8, 0]}, "writes": {"k": 2, "more": None}, "response": [200, "", "b"]},
    }
    # A gateway answers with it as JSON, which has no named tuples.
    assert jsontext.loads(jsontext.dumps(differences({"peer1": one, "peer2": other}))) == differences(
        {"peer1": one, "peer2": other}
    )
    assert differences({"peer1": one, "peer2": one}) == {"peer1": {"height": 10}, "peer2": {"height": 10}}


def test_ranges_and_events_are_shown_where_they_differ() -> None:
    one = response(event=Event("Put", 1), ranges=[RangeRead("a", "c", (Read("b", Version(6, 0)),))])
    other = response(ranges=[RangeRead("a", "c", ())])
    assert differences({"peer1": one, "peer2": other}) == {
        "peer1": {"height": 10, "ranges": {"a..c": [["b", [6, 0]]]}, "event": ["Put", 1]},
        "peer2": {"height": 10, "ranges": {"a..c": []}, "event": None},
    }


def test_what_is_shown_is_bounded() -> None:
    many = {f"k{number:02}": number for number in range(MAX_SHOWN + 5)}
    shown = differences({"peer1": response(many), "peer2": response(dict.fromkeys(many, "x" * 1000))})
    for peer in ("peer1", "peer2"):
        assert list(shown[peer]["writes"]) == [f"k{number:02}" for number in range(MAX_SHOWN)]
        assert shown[peer]["writes_not_shown"] == 5
    assert len(shown["peer2"]["writes"]["k00"]) == MAX_SHOWN_CHARACTERS + len("...")
