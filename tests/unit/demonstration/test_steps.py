"""Steps: what did not hold is told, and a step that breaks is one of them."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.demonstration.console import Console
from gridledger.demonstration.steps import Steps
from gridledger.errors import UnavailableError


def test_a_demonstration_is_good_when_all_held() -> None:
    steps = Steps(Console())
    assert not steps.is_good
    steps.expect("one", True)
    assert steps.is_good
    steps.expect("two", False, "seen")
    assert not steps.is_good
    assert steps.failed == "not: two"


def test_a_step_that_breaks_did_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(Console())

    async def broken() -> None:
        raise UnavailableError("nobody answers")

    asyncio.run(steps.act("a step", broken))
    assert [(each.step, each.held, each.seen) for each in steps.expectations] == [("a step", False, "nobody answers")]
    assert "nobody answers" in capsys.readouterr().out


def test_an_error_of_the_program_is_no_expectation() -> None:
    async def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(Steps(Console()).act("a step", broken))
