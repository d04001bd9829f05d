"""The demonstrations' console: what stands on which line, and colour only where a terminal takes it."""

from __future__ import annotations

import pytest

from gridledger.demonstration.console import Console
from gridledger.network.status import ChannelState, NetworkState, PeerState


def state(*hashes: str) -> NetworkState:
    peers = {f"peer{number}": PeerState(7, found * 64) for number, found in enumerate(hashes, 1)}
    return NetworkState({"substation": ChannelState(peers)}, {}, [*peers])


def test_ledgers_are_shown_by_channel_and_peer(capsys: pytest.CaptureFixture[str]) -> None:
    Console().channels(state("a", "a"))
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Ledgers",
        "  substation peers agree",
        f"    peer1    height 7      commit hash {'a' * 32}...",
        f"    peer2    height 7      commit hash {'a' * 32}...",
    ]


def test_peers_that_differ_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Console().channels(state("a", "b"))
    assert "  substation PEERS DIFFER" in capsys.readouterr().out


def test_latencies_stand_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console().latencies("frame to durable commit", {"p50": 12.34, "p99": 56.0})
    assert capsys.readouterr().out == "\n  frame to durable commit: p50 12.3 ms, p99 56.0 ms\n"


def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    Console().verdict("done", good=True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    Console().verdict("done", good=True)
    monkeypatch.setenv("NO_COLOR", "1")
    Console().verdict("done", good=True)
    assert capsys.readouterr().out == "\ndone\n\n\x1b[32mdone\x1b[0m\n\ndone\n"
