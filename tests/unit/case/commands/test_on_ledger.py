"""Commands of cases and of access on the contracts in memory: what they write, and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.case.__main__ import main
from services.case.callers import who
from tests.support.case_commands import HEAD, ROMAN, on_contracts
from tests.support.contract_channel import START_US, S
from tests.support.forensics_channel import PeoplesChannel, identity, person

IVAN = person("LvivMSP", "ivan", 5, "operator")
NODE = person("LvivMSP", "node", 6, "lightnode")
OPENING = [
    "open",
    "2026-17",
    "--channel",
    "section-plant",
    "access",
    "--from",
    "2026-11-30T15:00Z",
    "--to",
    "1796100000000000",
]


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch, access: PeoplesChannel) -> PeoplesChannel:
    cases = PeoplesChannel("cases")
    cases.call("SetAuthority", {"investigators": "InvestigatorsMSP"}, HEAD)
    on_contracts(monkeypatch, cases, access)
    return cases


@pytest.fixture
def access() -> PeoplesChannel:
    return PeoplesChannel("access")


@pytest.fixture
def run(cases: PeoplesChannel, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; its JSON with ``--json`` among its words, else its lines."""
    del cases

    def run(*words: str) -> Any:
        assert main(list(words)) == 0
        said = capsys.readouterr().out
        return json.loads(said) if "--json" in words else said.splitlines()

    return run


def test_a_case_from_its_opening_to_its_end(run: Any, cases: PeoplesChannel) -> None:
    more = ("--device", "b-1", "b-2", "--kind", "command", "--purpose", "breakers opened at 15:30")
    assert run(*OPENING, *more) == [
        "2026-17 is open; the authority approves it: gridledger case approve 2026-17",
    ]
    record = cases.call("GetCase", {"case": "2026-17"})
    assert record["by"] == identity(ROMAN)
    assert record["scope"] == {
        "channels": ["section-plant", "access"],
        "from_us": 1_796_050_800_000_000,
        "to_us": 1796100000000000,
        "devices": ["b-1", "b-2"],
        "operators": None,
        "kinds": ["command"],
    }


def test_what_is_shown_of_a_case(run: Any, cases: PeoplesChannel) -> None:
    scope = {"channels": ["access"], "from_us": START_US, "to_us": START_US + S}
    cases.call("OpenCase", {"case": "c-1", "purpose": "theft", "scope": scope}, ROMAN)
    assert run("approve", "c-1") == ["c-1 is approved by AuthorityMSP/head"]
    for text in ("device b-1", "device b-2"):
        cases.call("Query", {"case": "c-1", "text": text}, ROMAN)
    disclosed = [{"channel": "access", "transactions": ["cd" * 32]}]
    finding = {"case": "c-1", "package_sha256": "ab" * 32, "title": "the openings", "disclosed": disclosed}
    cases.call("RecordFinding", finding, ROMAN)
    assert [line.split("  ")[-1].strip() for line in run("queries", "c-1")] == ["query", "device b-1", "device b-2"]
    assert run("queries", "c-1", "--limit", "1", "--json")["more"] is True
    (head, row) = run("findings", "c-1")
    assert head.split() == ["recorded", "title", "package", "disclosed"]
    assert row.endswith(f"the openings  {'ab' * 32}  1")
    assert run("close", "c-1", "--reason", "done", "--user", "Authority/head", "--json")["by"] == identity(HEAD)
    shown = run("show", "c-1")
    assert shown[0].split() == ["case", "c-1,", "closed"]
    assert [line.split()[0] for line in shown] == [
        *("case", "purpose", "channels", "time", "devices", "operators", "kinds", "opened", "approved", "closed"),
        "reason",
    ]
    assert run("list", "--json")["items"] == [run("show", "c-1", "--json")]
    assert run("list")[1].split()[:2] == ["c-1", "closed"]


def test_sessions_commands_and_denials_are_listed(run: Any, access: PeoplesChannel) -> None:
    for number in (1, 2):
        opening = {"session": f"s-{number}", "operator": "ivan", "terminal": f"t-{number}", "section": "section-home"}
        access.call("OpenSession", opening | {"reason": "shift"}, IVAN)
    access.call("Command", {"session": "s-2", "device": "b-1", "command": "open"}, IVAN)
    access.call("CloseSession", {"session": "s-1"}, IVAN)
    access.call("Deny", {"operator": "olha", "terminal": "t-1", "why": "wrong password"}, NODE)
    rows = run("sessions")
    assert len(rows) == 3
    assert "two-sessions with s-2, two-terminals with s-2" in rows[1]
    assert [each["session"] for each in run("sessions", "--open", "--json")["items"]] == ["s-2"]
    assert [each["session"] for each in run("sessions", "--closed", "--json")["items"]] == ["s-1"]
    assert len(run("sessions", "--suspicious", "--operator", "ivan", "--terminal", "t-1")) == 2
    assert run("sessions", "--from", "2030-01-01T00:00Z", "--json") == {"items": [], "more": False}
    assert run("commands", "--device", "b-1")[1].split()[2:] == ["b-1", "open", "-", "ivan", "t-2", "s-2"]
    assert run("commands", "--session", "s-1", "--json")["items"] == []
    assert "wrong password" in run("denials", "--terminal", "t-1")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["approve", "x"], "case: there is no case x"),
        (["show", "x"], "case: there is no case x"),
        (["frobnicate"], "there is no subcommand 'frobnicate'"),
    ],
)
def test_refusals_are_one_line(
    words: list[str], message: str, cases: PeoplesChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    del cases
    assert main(words) != 0
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [*OPENING[:-1], "tomorrow", "--purpose", "p"],
            "argument --to: a time such as 2026-11-30T15:30Z",
        ),
        ([*OPENING[:-1], "2026-11-30T15:30", "--purpose", "p"], "say the zone"),
        (OPENING, "the following arguments are required: --purpose"),
        (["sessions", "--limit", "0"], "a whole number from 1 to 10000"),
        (["sessions", "--open", "--closed"], "not allowed with argument"),
        (["set-up", "--wait-s", "-1"], "seconds from 0 to 86400"),
        (["device", "burn"], "invalid choice: 'burn'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("known_as", "told"),
    [
        ("x509::CN=olha,OU=client,O=Kyiv::CN=Kyiv CA,O=Kyiv", "KyivMSP/olha"),
        ("x509::/CN=olha::/CN=ca", "KyivMSP/olha"),
        ("x509::CN=a\\,b,OU=client::CN=ca", "KyivMSP/a\\,b"),
        ("x509::OU=client::CN=ca", "KyivMSP/x509::OU=client::CN=ca"),
    ],
)
def test_callers_are_told_by_organisation_and_name(known_as: str, told: str) -> None:
    assert who({"mspid": "KyivMSP", "id": known_as}) == told
