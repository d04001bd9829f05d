"""Commands with parsers of their own: which kinds of companions are commands, and which extra is asked for first."""

from __future__ import annotations

import pytest

from gridledger.cli import main, own_parsers
from gridledger.cli import project as checkout


def test_a_simulated_relay_is_no_command_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"simulate", "anchor", "case", "console", "feeder", "relay", "rest", "vault"} == own_parsers.NAMES
    assert main(["relay-simulator"]) == 2
    assert "relay-simulator" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("anchor", (None, False)),
        ("case", (None, False)),
        ("feeder", ("feeder", True)),
        ("relay", (None, False)),
        ("rest", (None, True)),
        ("vault", (None, False)),
    ],
)
def test_a_module_that_asks_for_its_extras_itself_is_not_asked_first(
    name: str, asked: tuple[str | None, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what needs none, such as verifying a chain, runs without."""
    told: list[tuple[str | None, bool]] = []

    def run_service(module: str, arguments: list[str], *, extra: str | None, server: bool = True) -> int:
        assert (module, arguments) == (f"services.{name}", ["--help"])
        told.append((extra, server))
        return 0

    monkeypatch.setattr(checkout, "run_service", run_service)
    assert own_parsers.run_own(name, ["--help"]) == 0
    assert told == [asked]
