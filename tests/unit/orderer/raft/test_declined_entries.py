"""Entries that a server does not accept: no mismatch of logs, and no reason to depose whom a majority believes."""

from __future__ import annotations

from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import Rig, append, of_kind, server, tell

ABC = ("a", "b", "c")


def not_wild(data: bytes) -> bool:
    return data != b"wild"


def group(*voters: str) -> Rig:
    names = voters or ABC
    rig = Rig(*(server(name, names) for name in names))
    rig.lead("a")
    return rig


def test_what_is_not_accepted_is_declined_and_not_held() -> None:
    core = server()
    core.accepts = lambda data: data != b"3/1"
    sent = tell(core, append(1, 0, 0, (1, 1, 1, 1)))
    assert [(m.kind, m.index, m.reject) for m in sent] == [
        (Kind.DECLINE, 3, False),
        (Kind.APPEND_REPLY, 2, False),
    ]
    assert (core.log.last_index, core.declined) == (2, 3)
    # Once it is committed it is taken, whatever this server thinks of it.
    sent = tell(core, append(1, 2, 1, (1, 1), commit=3))
    assert [(m.kind, m.index) for m in sent] == [(Kind.APPEND_REPLY, 4)]
    assert (core.log.last_index, core.log.commit, core.declined) == (4, 3, 0)


def test_one_that_does_not_accept_deposes_nobody() -> None:
    rig = group()
    rig["b"].accepts = not_wild
    for data in (b"x", b"wild", b"y", b"wild"):
        rig["a"].propose(data)
        rig.settle()
    assert (rig["a"].is_leader, rig["a"].term, rig["a"].outvoted) == (True, 1, 0)
    assert [e.data for e in rig.applied["b"]] == [b"", b"x", b"wild", b"y", b"wild"]
    assert rig["b"].declined == 5
    assert len(of_kind(rig.sent, Kind.DECLINE)) == 2
    rig["a"].propose(b"z")
    rig.settle()
    assert rig["b"].declined == 0


def test_a_leader_whom_a_majority_does_not_believe_steps_aside() -> None:
    rig = group()
    for name in "bc":
        rig[name].accepts = not_wild
    rig["a"].propose(b"x")
    rig.settle()
    rig["a"].propose(b"wild")
    rig["a"].propose(b"after it")
    rig.settle()  # without a tick: the others are asked to stand at once
    leader = next(core for core in rig.cores.values() if core.is_leader)
    assert leader.node_id in ("b", "c")
    assert (rig["a"].outvoted, ["check its clock" in notice for notice in rig["a"].notices]) == (3, [True])
    leader.propose(b"y")
    rig.settle()
    for name in ABC:
        assert [e.data for e in rig.applied[name]] == [b"", b"x", b"", b"y"]


def test_it_does_not_win_again_where_its_request_to_stand_is_lost() -> None:
    rig = group()
    for name in "bc":
        rig[name].accepts = not_wild
        rig[name]._on_timeout_now = lambda message: None  # type: ignore[method-assign]
    rig["a"].propose(b"wild")
    rig.settle()
    assert not any(core.is_leader for core in rig.cores.values())
    rig.tick(30)
    leader = next(core for core in rig.cores.values() if core.is_leader)
    leader.propose(b"y")
    rig.settle()
    assert {tuple(e.data for e in rig.applied[name] if e.data) for name in ABC} == {(b"y",)}


def test_two_of_two_go_on_under_the_other_one() -> None:
    rig = group("a", "b")
    rig["b"].accepts = not_wild
    rig["a"].propose(b"wild")
    rig.settle()
    assert rig["b"].is_leader
    rig["b"].propose(b"y")
    rig.settle()
    assert [e.data for e in rig.applied["a"] if e.data] == [b"y"]


def test_one_that_does_not_accept_is_enough_where_another_is_gone() -> None:
    rig = group()
    rig.cut = {"c"}
    rig["b"].accepts = not_wild
    rig["a"].propose(b"wild")
    rig.tick(15, "a")
    assert rig["a"].is_leader  # c may only be late
    rig.tick(20, "a")
    assert rig["b"].is_leader
    rig["b"].propose(b"y")
    rig.settle()
    rig.cut = set()
    rig.tick(5, "b")
    assert {tuple(e.data for e in rig.applied[name] if e.data) for name in ABC} == {(b"y",)}


def test_an_earlier_terms_entry_is_kept_while_another_may_hold_it() -> None:
    # a and c hold entry 2 of term 1: its leader may have committed it, and told its client.
    rig = Rig(server("a", ABC, (1, 1)), server("b", ABC, (1,)), server("c", ABC, (1, 1)))
    rig.cut = {"c"}
    rig["b"].accepts = lambda data: data != b"2/1"
    rig.lead("a")
    rig.tick(40, "a")
    assert rig["a"].log.term(2) == 1
    rig.cut = set()
    rig.tick(40)
    assert all(core.log.commit >= 2 and core.log.term(2) == 1 for core in rig.cores.values())


def test_declines_are_asked_again_with_heartbeats_only() -> None:
    rig = group()
    rig.cut = {"c"}
    rig["b"].accepts = not_wild
    rig["a"].propose(b"wild")
    rig.settle()
    rig.sent.clear()
    for count in range(1, 6):
        rig.tick(1, "a")
        assert len(of_kind(rig.sent, Kind.DECLINE)) <= count
    rig["b"].accepts = lambda _data: True  # its clock is right again
    rig.tick(2, "a")
    assert rig["a"].log.commit == 2


def test_late_and_strange_declines_change_nothing() -> None:
    rig = group()
    rig["a"].propose(b"x")
    rig.settle()
    for sender, index in (("b", 1), ("b", 2), ("x", 3), ("c", 2)):
        assert of_kind(tell(rig["a"], Message(Kind.DECLINE, sender, "a", 1, index)), Kind.TIMEOUT_NOW) == []
    assert rig["a"].is_leader
    assert all(progress.declined == 0 for progress in rig["a"].progress.values())


def test_a_learner_has_no_say() -> None:
    rig = Rig(*(server(name, ABC, learners=("d", "e")) for name in (*ABC, "d", "e")))
    rig.lead("a")
    for name in "de":
        rig[name].accepts = not_wild
    rig["a"].propose(b"wild")
    rig.settle()
    assert rig["a"].is_leader
    assert [e.data for e in rig.applied["d"]] == [b"", b"wild"]
