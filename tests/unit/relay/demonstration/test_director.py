"""The director: what it does in which minute, and that the story goes on where a lie fails."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger.demonstration.console import Console
from gridledger.errors import ConflictError
from gridledger.field.capture import render_capture
from services.relay.demonstration.director import Director
from services.relay.demonstration.renames import Renames
from services.relay.demonstration.stage import Stage
from services.relay.demonstration.watching import Watched
from tests.support.relay_story import CAST, FIRST_MINUTE, RECORD, capture


class Ledger:
    """A ledger that takes lies, or refuses them."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    async def get_capture(self, _relay: str, minute: int) -> dict[str, Any]:
        return {"text": render_capture(capture(minute - FIRST_MINUTE + 1))}

    async def attest_capture(self, *_: Any) -> None:
        if self._refuses:
            raise ConflictError("ALREADY_ATTESTED by 5006")

    record_capture = attest_capture


class Acts:
    """A stage that notes what is done on it."""

    record = RECORD

    def __init__(self, ledger: Ledger) -> None:
        self.done: list[str] = []
        self._ledger = ledger

    async def ledger_as(self, _stack: AsyncExitStack, _server: str) -> Ledger:
        return self._ledger

    def kill(self, name: str) -> None:
        self.done.append(f"kill {name}")

    async def start(self, server: str) -> None:
        self.done.append(f"start {server}")

    async def stop(self, server: str) -> None:
        self.done.append(f"stop {server}")

    def own_peer(self, server: str) -> str:
        return f"peer{server}"

    def cut_off(self, peer: str) -> None:
        self.done.append(f"cut off {peer}")

    def connect_all(self) -> None:
        self.done.append("connect all")

    async def misbehave(self, kind: str, minutes: int) -> None:
        self.done.append(f"{kind} for {minutes}")


async def played(tmp_path: Path, count: int, *, refuses: bool = False) -> tuple[list[str], dict[int, str]]:
    """What was done in the minutes of a relay that has completed them all, and the lies."""
    file = tmp_path / "renames.jsonl"
    minutes = range(FIRST_MINUTE - 1, FIRST_MINUTE + count)
    file.write_text("".join(json.dumps({"minute": one, "sha256": "", "renamed_us": 0}) + "\n" for one in minutes))
    watched = Watched(recorded={minute: {} for minute in minutes})
    acts = Acts(Ledger(refuses=refuses))
    director = Director(
        cast("Stage", acts),
        CAST,
        watched=watched,
        renames=Renames(file, 5.0),
        first=FIRST_MINUTE,
        minute_s=0.01,
        console=Console(),
    )
    async with AsyncExitStack() as stack:
        lies = await director.play(count, stack)
    return acts.done, lies


STORY = [
    *("kill server5005", "silent for 2"),
    *("two-faced for 1", "stop 5006", "start 5006"),
    *("start 5005", "cut off peer5005"),
    *("stop 5007", "connect all", "start 5007"),
]


@pytest.mark.parametrize("count", [12, 14])
async def test_each_thing_happens_once_and_in_order(tmp_path: Path, count: int) -> None:
    done, lies = await played(tmp_path, count)
    assert done == STORY
    assert lies.keys() == {8, 12}


async def test_the_story_goes_on_where_a_lie_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done, lies = await played(tmp_path, 12, refuses=True)
    assert (done, lies) == (STORY, {})
    out = capsys.readouterr().out
    assert "the lie is not attested: ALREADY_ATTESTED by 5006" in out
    assert "the made-up text is not recorded: ALREADY_ATTESTED" in out


async def test_each_minute_is_told_with_what_befalls_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await played(tmp_path, 12)
    lines = [line for line in capsys.readouterr().out.splitlines() if " begins, " in line]
    assert len(lines) == 12
    assert lines[3].endswith("minute  4 begins, 00:27 UTC: server 5005 is killed (kill -9)")
    assert lines[0].endswith("minute  1 begins, 00:24 UTC")
