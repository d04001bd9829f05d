"""docs/forensics-reference.md names the functions, events and keys of the contracts, and no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gridledger.contract.api import Function
from tests.support.contract_channel import chaincode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "forensics-reference.md").read_text()
CONTRACTS = ("registry", "events", "access", "cases")


def section(contract: str) -> str:
    """The page's part about a contract."""
    return re.split(rf"\n## [^\n]*`{contract}`\n", PAGE)[1].partition("\n## ")[0]


def functions(contract: str) -> dict[str, Function]:
    return {name: function for name, (_, function) in chaincode(contract).functions.items() if function is not None}


def rows(contract: str) -> list[list[str]]:
    return [line.strip("|").split(" | ") for line in section(contract).splitlines() if line.startswith("| `")]


def named(cell: str) -> str:
    """The function in a row's first cell."""
    return cell.strip(" `").split("`")[0].split(" ")[0]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def module(contract: str, name: str) -> ModuleType:
    package = type(chaincode(contract).contracts[0]).__module__.rpartition(".")[0]
    return sys.modules[f"{package}.{name}"]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_tables_have_every_function(contract: str) -> None:
    told = {named(row[0]) for row in rows(contract) if named(row[0])[0].isupper()}
    assert told == set(functions(contract))
    queries = {name for name, function in functions(contract).items() if function.readonly}
    assert {named(row[0]) for row in rows(contract) if len(row) == 2 and named(row[0])[0].isupper()} == queries


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_table_has_the_events_that_the_contract_sets(contract: str) -> None:
    told = {re.findall(r"`([A-Z]\w+)`", row[-1])[0] for row in rows(contract) if len(row) == 5}
    source = "".join(path.read_text() for path in (ROOT / "chaincode" / contract).glob("*.py"))
    assert told == set(re.findall(r'set_event\("(\w+)"', source))


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_arguments_are_those_of_the_contract_s_docstrings(contract: str) -> None:
    for row in rows(contract):
        name = named(row[0])
        if not name[0].isupper():
            continue
        told = re.search(r"\{[^}]*\}", row[0] if len(row) == 2 else row[2])
        meant = re.match(r"\{[^}]*\}", functions(contract)[name].description)
        assert told is not None, name
        assert meant is not None, name
        if " | " not in meant.group():
            assert told.group() == meant.group(), name


def test_the_keys_are_those_of_the_modules() -> None:
    keys = module("registry", "keys")
    x = "04" + "X" * 64
    registry = {keys.AUTHORITY, keys.EPOCH, keys.BUILDING, keys.NEWEST, keys.device("D"), keys.proof_key(x)}
    registry |= {keys.device_key("D", 0), keys.active(0, "D"), keys.revoked("D"), keys.published(0), keys.bits(0, 0)}
    keys = module("events", "keys")
    events = {keys.device("D"), keys.proof_key(x), keys.head("D"), keys.event("D", 0), keys.gap("D", 0, "MARK")}
    events |= {keys.by_kind("KIND", 0, "D", 0)}
    keys = module("access", "keys")
    access = {keys.session("S"), keys.closed("S"), keys.flag("S"), keys.opened(0, "S"), keys.latest("CERTIFICATE")}
    access |= {keys.session_of("CERTIFICATE", 0, "S"), keys.command(0, "TX"), keys.command_in("S", 0, "TX")}
    access |= {keys.denial(0, "TX")}
    keys = module("cases", "keys")
    cases = {keys.AUTHORITY, keys.case("C"), keys.approved("C"), keys.closed("C")}
    cases |= {keys.query("C", 0, "TX"), keys.finding("C", 0, "TX")}
    for contract, made in (("registry", registry), ("events", events), ("access", access), ("cases", cases)):
        paragraph = section(contract).partition("### Keys\n\n")[2].partition("\n")[0].partition(". ")[0]
        digits = {re.sub(r"[A-Z]+([0-9]+)", lambda found: "0" * int(found.group(1)), told) for told in names(paragraph)}
        assert digits == {key.replace("X" * 64, "X") for key in made}, contract


def test_limits_are_those_of_the_contracts() -> None:
    filters, marks = module("registry", "filters"), module("events", "marks")
    arguments = module("events", "arguments")
    told = section("registry")
    assert f"`m`: 8 to {filters.MAX_BITS:,}" in told
    assert f"`k`: 1 to {filters.MAX_HASHES}" in told
    assert f"`limit`: 1 to {filters.MAX_PAGE:,}" in told
    told = section("events")
    assert f"at most {arguments.MAX_BODY:,} bytes" in told
    assert f"base64 of at most {arguments.MAX_SEALED:,} characters" in told
    assert f"more than {marks.LATE_S} s behind" in told
    assert f"more than {marks.AHEAD_S} s ahead" in told
    assert f"events: [1 to {module('events', 'recording').MAX_EVENTS} of" in told
    assert f"the {module('events', 'gaps').MAX_LOOKED_AT} events" in told
    queries, suspicion = module("access", "queries"), module("access", "suspicion")
    told = section("access")
    assert f"a call tells of {queries.MAX_JUDGED} sessions" in told
    assert f"looks at {queries.MAX_LOOKED:,} entries" in told
    assert f"within {suspicion.APART_US // 1_000_000} s at two terminals" in told
    assert f"openings of within {suspicion.SIDE_BY_SIDE_US // 1_000_000} s" in told
    arguments, told = module("cases", "arguments"), section("cases")
    assert f"1 to {arguments.MAX_REMARK:,} characters; `text`: 1 to {arguments.MAX_QUERY:,} bytes" in told
    assert f"channels: [1 to {arguments.MAX_CHANNELS}]" in told
    assert f"arrays of 1 to {arguments.MAX_NAMED}" in told
    assert f"{arguments.MAX_DISCLOSED:,} ids in all" in told
