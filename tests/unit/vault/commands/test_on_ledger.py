"""The commands that talk to a network, on the real contract with real holders: text for people, JSON for programs."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger.sharing.errors import SharingError, WeakId
from services.vault.__main__ import SUBCOMMANDS, main
from services.vault.ids import check_new_id
from services.vault.session import Session
from tests.support.vault_parties import Parties

DATA = b"gas 12 ppm\n" * 500
_AS_BASE = ("set_up", "admit", "revoke", "cycle", "reshare", "repair", "report_lost")
_AS_USER = ("get", "ls", "show", "health", "holders", "reads", "abandon")


@pytest.fixture
def parties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parties]:
    made = asyncio.run(Parties(tmp_path / "world").set_up())

    def opener(identity: Any) -> Any:
        @asynccontextmanager
        async def opened(options: argparse.Namespace, *_: object) -> AsyncIterator[Session]:
            yield made.session(made.dealer if options.user == "dealer" else identity)

        return opened

    for name in _AS_BASE:
        monkeypatch.setattr(f"services.vault.commands.{name}.opened_as_base", opener(made.base))
    for name in _AS_USER:
        monkeypatch.setattr(f"services.vault.commands.{name}.opened", opener(made.reader))
    monkeypatch.setattr("services.vault.commands.put.opened", opener(made.dealer))
    yield made
    made.close()


@pytest.fixture
def run(parties: Parties, capsys: pytest.CaptureFixture[str]) -> Any:
    assert parties.channel

    def said(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(list(arguments)) == code
        out, err = capsys.readouterr()
        if code and "--json" not in arguments:
            return err
        return json.loads(out) if "--json" in arguments else out

    return said


@pytest.fixture
def oil(run: Any, tmp_path: Path) -> str:
    file = tmp_path / "oil"
    file.write_bytes(DATA)
    told = run(
        "put", str(file), "--cluster", "M1", "--audits", "2", "--meta", "sensor=oil", "--meta", "line=7", "--json"
    )
    assert sorted(told["acked"]) == [f"m1-{number}" for number in range(1, 6)]
    return "oil"


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_has_a_main(name: str) -> None:
    assert callable(importlib.import_module(SUBCOMMANDS[name].module).main)


def test_an_object_s_life(run: Any, oil: str, tmp_path: Path, parties: Parties) -> None:
    out = tmp_path / "read"
    assert f"{len(DATA)} bytes of oil, by m1-" in run("get", oil, "-o", str(out), "--purpose", "study")
    assert out.read_bytes() == DATA
    assert run("get", oil, "-o", str(out), "--purpose", "study", "--all", "--json")["others"] == {}
    shown = run("show", oil, "--json")
    assert (shown["meta"], len(shown["acks"]), shown["status"]) == ({"sensor": "oil", "line": 7}, 5, "stored")
    assert "version 1 of 1, stored" in run("show", oil)
    assert run("ls").splitlines()[1].split()[:6] == ["oil", "2", "M1", "1", "1", str(len(DATA))]
    assert run("ls", "--cluster", "M2", "--json") == {"items": [], "more": False}
    assert run("health").splitlines()[1].split() == ["oil", "stored", "5", "4", "5", "yes", "no"]
    assert [item["purpose"] for item in run("reads", oil, "--json")["items"]] == ["study", "study"]
    parties.flip("m1-3", oil)
    assert run("repair", oil, "m1-3", "--json")["contributors"]
    assert "version 2" in run("reshare", oil)
    assert run("reshare", "none", "--json", code=1)["reshared"][0]["error"].startswith("object: there is no object")
    assert "oil is abandoned" in run("abandon", oil, "--reason", "old", "--user", "dealer")
    assert "oil was abandoned: old" in run("get", oil, "-o", str(out), "--purpose", "study", code=1)


def test_holders_come_and_go(run: Any, oil: str, parties: Parties) -> None:
    assert "m1-2 is revoked" in run("revoke", "m1-2", "--reason", "opened")
    assert "m1-3: lost" in run("report-lost", "m1-3", "--reason", "lost")
    asyncio.run(parties.join("m1-6", 106, admit=False))
    listed = {each["holder"]: each for each in run("holders", "--cluster", "M1", "--json")["items"]}
    assert (listed["m1-2"]["state"], listed["m1-6"]["state"]) == ("revoked", "joined")
    assert listed["m1-3"]["suspected_by"] == ["base"]
    assert "admitted: m1-6" in run("admit", "m1-6")
    assert "reshare due" in run("health")
    cycle = run("cycle", "--rotate-heads", "--reshare", "changed", "--json")
    assert (cycle["cycle"], cycle["new_heads"]) == (2, {"M1": "m1-3", "M2": "m2-2"})
    assert cycle["reshared"] == [{"object": oil, "version": 2}]
    assert "M1 has the head m1-4" in run("cycle", "--head", "M1=m1-4")
    assert "reshared: none" in run("cycle", "--reshare", "changed")
    assert [each["cluster"] for each in run("cycle", "--without", "M2", "--json")["clusters"]] == ["M1"]


def test_a_head_that_was_revoked_is_followed(run: Any, parties: Parties) -> None:
    asyncio.run(parties.join("m1-6", 106))
    run("revoke", "m1-1", "--reason", "opened")
    assert run("cycle", "--json")["new_heads"] == {"M1": "m1-2"}


def test_what_cannot_be_is_told_in_one_line(run: Any, oil: str, tmp_path: Path, parties: Parties) -> None:
    assert "no such" in run("put", str(tmp_path / "absent"), "--cluster", "M1", code=1).lower()
    assert "there is no cluster 'M9' in cycle 1; there are: M1, M2" in run(
        "put", str(tmp_path / "oil"), "--cluster", "M9", code=1
    )
    parties.away = {"m1-1", "m1-2", "m1-3"}
    error = run("get", oil, "-o", str(tmp_path / "read"), "--purpose", "study", code=1)
    assert error.startswith("error: oil needs 3 of 5, 2 answered: m1-4, m1-5; m1-1: ")
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("revoke", "--reason", "x"),
        ("revoke", "m1-1", "--certificate", "0" * 64, "--reason", "x"),
        ("put", "f", "--cluster", "M1", "--layered", "a"),
        ("put", "f", "--cluster", "M1", "--audits", "0"),
        ("get", "oil", "-o", "f", "--purpose", "x", "--layered", "--all"),
        ("cycle", "--head", "M1"),
        ("ls", "--limit", "0"),
    ],
)
def test_a_command_line_that_cannot_be_is_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2


def test_ids_are_judged_before_anybody_is_enrolled() -> None:
    check_new_id(106, 3)
    with pytest.raises(WeakId, match="is weak for t = 3"):
        check_new_id((2**521 - 2) // 2, 3)
    with pytest.raises(SharingError):
        check_new_id(0, 3)
    with pytest.raises(SharingError, match="does not lie within 1 and"):
        check_new_id(2**64, 3)
