"""docs/vault-reference.md names the functions, events and keys that the contract has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from gridledger.contract.api import Function
from tests.support.vault_channel import VAULT, chaincode, module

PAGE = (Path(__file__).parents[3] / "docs" / "vault-reference.md").read_text()
CONTRACT = PAGE.partition("## The contract")[2].partition("\n## ")[0]


def functions() -> dict[str, Function]:
    return {name: function for name, (_, function) in chaincode().functions.items() if function is not None}


def rows() -> list[list[str]]:
    return [line.strip("|").split(" | ") for line in CONTRACT.splitlines() if line.startswith("| `")]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_tables_have_every_function_once() -> None:
    told = [names(row[0])[0].split(" ")[0] for row in rows()]
    assert sorted(told) == sorted(functions())
    queries = {name for name, function in functions().items() if function.readonly}
    assert {names(row[0])[0].split(" ")[0] for row in rows() if len(row) == 2} == queries


def test_the_table_has_the_events_that_the_contract_sets() -> None:
    told = {name for row in rows() if len(row) > 2 for name in names(row[-1])}
    source = "".join(path.read_text() for path in VAULT.glob("*.py"))
    assert told == {
        *re.findall(r'set_event\("(\w+)"', source),
        *re.findall(r'_conclude\(.*"(\w+)"\)', source),
    }


def test_the_arguments_are_those_of_the_contract_s_docstrings() -> None:
    for row in rows():
        cell = names(row[0])[0] if len(row) == 2 else names(row[2])[0] if names(row[2]) else ""
        told = re.search(r"\{[^}]*\}", cell)
        name = names(row[0])[0].split(" ")[0]
        meant = re.match(r"\{[^}]*\}", functions()[name].description)
        if meant is not None and told is not None and " | " not in meant.group():
            assert told.group() == meant.group(), name


def test_the_keys_are_those_of_the_module() -> None:
    keys = module("keys")
    made = {
        keys.BASE,
        keys.CYCLE,
        keys.cluster("C"),
        keys.past_cycle(0),
        keys.join("H"),
        keys.holder("H"),
        keys.active_in("C", "H"),
        keys.revoked("H"),
        keys.holder_id("X"),
        keys.public_key("SHA256"),
        keys.suspicion("H", "BY"),
        keys.an_object("O"),
        keys.in_cluster("C", "O"),
        keys.version("O", 0),
        keys.settled("O", 0),
        keys.stored("O"),
        keys.ack("O", 0, "H"),
        keys.deleted("O", 0, "H"),
        keys.bad("O", 0, "H"),
        keys.repaired("O", 0, "H"),
        keys.read("O", "TX"),
        keys.audit("O", 0, "H", 0, 0),
        keys.tally("O", 0, "H"),
    }
    digits = {
        "CYCLE": keys.CYCLE_DIGITS,
        "V": keys.VERSION_DIGITS,
        "SERIES": keys.SERIES_DIGITS,
        "NUMBER": keys.NUMBER_DIGITS,
    }
    paragraph = CONTRACT.partition("### Keys\n")[2].partition("\n\n")[0]
    told = {name for name in names(paragraph) if name == name.strip()}
    written = {"/".join("0" * digits[part] if part in digits else part for part in name.split("/")) for name in told}
    assert written == made


def test_limits_are_those_of_the_contract() -> None:
    said = CONTRACT.partition("### Limits\n")[2]
    cycles, holders, arguments = module("cycles"), module("holders"), module("arguments")
    for number, what in (
        (cycles.MAX_CLUSTERS, "clusters"),
        (arguments.MAX_HOLDERS, "active holders"),
        (cycles.MAX_ACTIVE, "admitted and not revoked in all"),
        (arguments.MAX_HOLDERS, "shares an object"),
        (holders.MAX_KEYS, "keys a holder"),
    ):
        assert f"{number:,} {what}" in said
    assert f"purposes of {arguments.MAX_REMARK} characters, policies of {module('manifests').MAX_READERS:,}" in said
