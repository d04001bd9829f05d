"""How the edge tells that its committer's process has ended."""

from __future__ import annotations

import signal

import pytest

from services.peer.committer.child import _ending


@pytest.mark.parametrize("number", [signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT])
def test_an_end_by_a_damaged_ledger_names_what_to_run(number: signal.Signals) -> None:
    assert _ending(-number) == (
        f"was ended by {number.name}, as by a ledger whose file is damaged: run gridledger verify on it"
    )


def test_other_ends_are_told_as_they_are() -> None:
    assert _ending(-signal.SIGKILL) == "was killed by signal 9"
    assert _ending(3) == "ended with code 3"
