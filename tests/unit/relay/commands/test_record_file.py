"""A relay's registration in YAML: what is taken, and the field and line of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gridledger.errors import InputError
from services.relay.commands.record_file import MAX_BYTES, parse_record, read_record
from services.relay.commands.registering import with_line
from tests.support.processes import REPOSITORY

OURS = REPOSITORY / "network-config" / "relays" / "rele1.yaml"
TEXT = """\
relay: Rele_1
name: Relay 1
substation: Bogotá
protocol: text
address: http://127.0.0.1:5010
utc_offsets:
  - {from_minute: 0, offset_min: -300}
period_s: 60
reading_s: 10
servers:
  - {id: "5004", mspid: Server5004MSP}
  - id: "5005"
    mspid: Server5005MSP
quorum: 2
limits:
  Vab: [109.25, 120]
"""


def test_a_record_is_exactly_the_file():
    assert parse_record(TEXT).record == yaml.safe_load(TEXT)


def test_the_registrations_of_the_checkout_are_read():
    for path in OURS.parent.glob("*.yaml"):
        assert read_record(path).record["relay"] == "Rele_1"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("quorum: 2", "quorum: two", "quorum, line 14: must be a whole number, not two"),
        ("quorum: 2", "qorum: 2", "quorum: is missing"),
        ("quorum: 2", "quorum: 2\ncolour: red", "colour, line 15: is unknown"),
        ("quorum: 2", "quorum: 2\nquorum: 3", "quorum, line 15: is given twice"),
        ('id: "5005"', "id: 5005", 'servers.1.id, line 12: must be a text: write "5005" in quotes'),
        ("    mspid: Server5005MSP\n", "", "servers.1.mspid, line 12: is missing"),
        ("relay: Rele_1", "relay: ../x", "relay, line 1: must be written as the pattern"),
        (
            "protocol: text",
            "protocol: dnp3",
            "protocol, line 4: must be 'text', 'modbus', 'iec61850' or 'c37118'",
        ),
        ("Vab: [109.25, 120]", "Vab: [109.25]", "limits.Vab, line 16: must have at least 2 entries, not 1"),
        ("Vab: [109.25, 120]", "Vxx: [1, 2]", "limits.Vxx, line 16: must be 'Vab'"),
        (
            "offset_min: -300",
            "offset_min: -300.5",
            "utc_offsets.0.offset_min, line 7: must be a whole number, not -300.5",
        ),
        ("period_s: 60", "period_s: 60: 1", "line 8: not YAML: mapping values are not allowed here"),
        ("quorum: 2", f"quorum: {'9' * 5000}", "no registration: Exceeds the limit"),
        ("name: Relay 1", "name: 2026-13-45", "no registration: month must be in 1..12"),
        ("name: Relay 1", "name: [[[[[[[[[[[[1]]]]]]]]]]]]", "line 2: nested too deeply"),
    ],
)
def test_a_fault_is_told_with_field_and_line(old: str, new: str, told: str):
    with pytest.raises(InputError) as refused:
        parse_record(TEXT.replace(old, new))
    assert told in refused.value.message
    assert "\n" not in refused.value.message


def test_aliases_are_refused_before_they_multiply():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8))
    with pytest.raises(InputError, match=r"line 2: \*a0 is an alias: write the value out"):
        parse_record(bomb)


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "42\n"])
def test_what_is_no_mapping_is_refused(text: str):
    with pytest.raises(InputError, match="line 1: a registration is a mapping"):
        parse_record(text)


def test_a_file_has_a_bound_and_is_named(tmp_path: Path):
    path = tmp_path / "relay.yaml"
    path.write_bytes(b"# \xff")
    with pytest.raises(InputError, match=r"relay\.yaml: bytes: not UTF-8 at byte 2"):
        read_record(path)
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match=r"relay\.yaml: a registration has at most"):
        read_record(path)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("quorum: must be over half", "quorum, line 14: must be over half"),
        ("limits.Vab: 1 is not below 0", "limits.Vab, line 16: 1 is not below 0"),
        ("servers.1.mspid: unknown", "servers.1.mspid, line 13: unknown"),
        ("servers[1].mspid: unknown", "servers[1].mspid, line 13: unknown"),
        ("limits.Vab[0]: too low", "limits.Vab[0], line 16: too low"),
        ("max_age_s: too large", "max_age_s: too large"),
        ("you may not", "you may not"),
    ],
)
def test_a_refusal_of_the_contract_gets_its_line(message: str, told: str):
    assert with_line(message, parse_record(TEXT)) == told
