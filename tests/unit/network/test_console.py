"""What is shown of processes, and that a terminal that does not read holds nobody up."""

from __future__ import annotations

import io
import json
import os
import threading
from typing import Any

from gridledger.network.console import ProcessConsole


class Terminal(io.StringIO):
    """A terminal that shows colours."""

    def isatty(self) -> bool:
        return True


def record(**members: Any) -> str:
    return json.dumps({"time": "2026-11-21T02:26:49.431123Z", "level": "info", "message": "listening", **members})


def test_a_log_line_becomes_readable_behind_its_name() -> None:
    output = io.StringIO()
    console = ProcessConsole(output)
    console.line("peer1", record(service="peer", node="peer1", logger="web", port=7151))
    console.line("orderer1", "no JSON at all")
    console.line("ca", '["JSON", "of another kind"]')
    console.say("two-peers is ready")
    console.close()
    assert output.getvalue().splitlines() == [
        "peer1    | 02:26:49.431 info    listening port=7151",
        "orderer1 | no JSON at all",
        'ca       | ["JSON", "of another kind"]',
        "two-peers is ready",
    ]


def test_colours_only_on_a_terminal_and_errors_in_red(monkeypatch: Any) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = Terminal()
    console = ProcessConsole(output)
    console.line("peer1", record(level="error"))
    console.close()
    assert "\x1b[36mpeer1    |\x1b[0m" in output.getvalue()
    assert "\x1b[31merror  \x1b[0m" in output.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    console = ProcessConsole(plain)
    console.line("peer1", record(level="error"))
    console.close()
    assert "\x1b" not in plain.getvalue()


class Stopped(io.StringIO):
    """A terminal on which nothing moves until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on, self.drained = threading.Event(), threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.go_on.wait(10)
        written = super().write(text)
        if "line 2" in text:
            self.drained.set()
        return written


def test_lines_beyond_the_bound_are_left_out_and_counted() -> None:
    output = Stopped()
    console = ProcessConsole(output, max_waiting=3)
    console.say("first")
    assert output.entered.wait(5)
    for number in range(10):
        console.say(f"line {number}")
    output.go_on.set()
    assert output.drained.wait(5)
    console.say("after")
    console.close()
    lines = output.getvalue().splitlines()
    assert lines == ["first", "line 0", "line 1", "line 2", "(7 lines left out here; logs/ has them)", "after"]


def test_a_reader_that_is_gone_does_not_matter() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        console = ProcessConsole(output)
        for number in range(100):
            console.say(f"line {number}")
        console.close()
        try:
            output.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
