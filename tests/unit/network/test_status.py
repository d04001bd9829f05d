"""When a network's peers agree, by heights and commit hashes."""

from __future__ import annotations

from typing import Any

from gridledger.network.status import ChannelState, NetworkState, PeerState, note_channels, table


def channel(**peers: tuple[int, str]) -> ChannelState:
    return ChannelState({name: PeerState(*state) for name, state in peers.items()}, {"orderer1": 9}, "orderer1")


def test_peers_of_equal_height_must_have_equal_hashes() -> None:
    assert channel(a=(5, "x"), b=(5, "x")).agree
    assert not channel(a=(5, "x"), b=(5, "y")).agree


def test_a_peer_behind_does_not_disagree_but_is_not_level() -> None:
    state = channel(a=(5, "x"), b=(4, "w"))
    assert state.agree
    assert not state.level
    assert channel(a=(5, "x"), b=(5, "x")).level


def test_a_network_is_sound_when_all_answer_and_agree() -> None:
    good = NetworkState({"c": channel(a=(5, "x"), b=(5, "x"))}, {}, ["a", "b"])
    assert good.sound
    assert not NetworkState(good.channels, {"b": "gone"}, ["a", "b"]).sound
    assert not NetworkState({"c": channel(a=(5, "x"), b=(5, "y"))}, {}, ["a", "b"]).sound


def test_the_table_names_what_is_wrong() -> None:
    state = NetworkState({"c": channel(a=(5, "x"), b=(5, "y"))}, {"d": "no answer"}, ["a", "b", "d"])
    text = table(state)
    assert "down: no answer" in text
    assert "PEERS DIFFER" in text
    assert "leader orderer1" in text


def test_peers_of_different_heights_are_compared_at_the_lower() -> None:
    state = channel(a=(5, "x"), b=(4, "w"))
    state.common = {"a": "w", "b": "w"}
    assert state.agree
    state.common = {"a": "v", "b": "w"}
    assert not state.agree
    assert "PEERS DIFFER" in table(NetworkState({"c": state}, {}, ["a", "b"]))


def test_a_channel_of_which_nobody_tells_is_not_said_to_agree() -> None:
    assert "no peer answers" in table(NetworkState({"c": ChannelState()}, {"a": "gone"}, ["a"]))


def told(node: str, **channel: Any) -> dict[str, Any]:
    there = {"height": 5, "leader": None, "config_sequence": 0, "standing": "peer", **channel}
    return {"node": node, "mspid": "M", "version": "1", "certificate_not_after_us": 1, "channels": {"c": there}}


def test_the_leader_is_that_of_the_highest_term_and_queues_are_those_that_are_told() -> None:
    state = NetworkState({}, {}, ["a", "o1", "o2", "o3"])
    answers = {
        "a": told("a", commit_hash="x", queued=4),
        "o1": told("o1", leader="o1", term=7),
        "o2": told("o2", leader="o2", term=6, queued=2),
        "o3": {"node": "o3"},
    }
    note_channels(state, answers, {"a"})
    channel = state.channels["c"]
    assert (channel.leader, channel.term, channel.queued) == ("o1", 7, {"a": 4, "o2": 2})
    assert channel.peers == {"a": PeerState(5, "x")}
    assert state.down["o3"].startswith("its status cannot be read")
    text = table(state)
    assert "leader o1, peers agree, term 7" in text
    assert "commit hash x  queued 4" in text
