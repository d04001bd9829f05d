"""Files of configurations and updates: what people edit, what they sign, and what is no such file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import ConflictError, GridLedgerError, InputError
from gridledger.identity.certificate import Certificate
from gridledger.network import update_files
from gridledger.network.update_files import (
    add_signature,
    compute_update,
    read_config_file,
    read_update,
    readable,
    text_of_json,
    write_update,
)
from gridledger.protocol.config_update import verify_update
from gridledger.protocol.fields import to_base64
from tests.support.paper import NOW_US, PaperNetwork

PAPER = PaperNetwork(organisations=3)
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write(tmp_path / "shard1.json", lambda _: None)


def write(path: Path, edit: Edit) -> Path:
    """The configuration as it is fetched, and edited."""
    plain = copy.deepcopy(readable(PAPER.config.plain))
    edit(plain)
    path.write_text(text_of_json(plain))
    return path


def test_a_fetched_configuration_reads_as_it_was(original: Path) -> None:
    assert read_config_file(original) == PAPER.config
    certificate = json.loads(original.read_text())["peers"]["peer1"]["certificate"]
    assert Certificate.from_pem(certificate) == PAPER.peers["peer1"].certificate


def test_two_certificates_of_a_node_are_readable_too(tmp_path: Path) -> None:
    renewed = PAPER.organisations["Org1MSP"].issue("peer1", "peer").certificate

    def edit(plain: dict[str, Any]) -> None:
        node = plain["peers"]["peer1"]
        node["certificates"] = [node.pop("certificate"), to_base64(renewed.der)]

    found = read_config_file(write(tmp_path / "two.json", edit))
    assert found.peers["peer1"].certificates == (PAPER.peers["peer1"].certificate, renewed)
    assert readable(found.plain)["peers"]["peer1"]["certificates"][1] == renewed.pem


def test_certificates_in_a_block_are_readable() -> None:
    proposal = PAPER.proposal("put", "a", 1)
    shown = readable({"proposal": json.loads(proposal.text), "others": [{"certificate": 5, "creator": "no"}]})
    assert Certificate.from_pem(shown["proposal"]["creator"]) == PAPER.client.certificate
    assert shown["others"] == [{"certificate": 5, "creator": "no"}]


def test_an_edited_configuration_becomes_an_update(tmp_path: Path) -> None:
    """Who edits it counts nothing: neither the sequence nor what a removal leaves behind."""

    def edit(plain: dict[str, Any]) -> None:
        del plain["organisations"]["Org3MSP"], plain["peers"]["peer3"], plain["chaincodes"]["kv"]
        plain["acls"] = {}

    update = compute_update(PAPER.config, write(tmp_path / "edited.json", edit), NOW_US)
    assert (update.sequence, update.signatures, update.time_us) == (1, (), NOW_US)
    assert set(update.config.removed_organisations) == {"Org3MSP"}
    assert update.config.removed_chaincodes == {"kv": 1}
    signed = update
    for admin in PAPER.all_admins[:2]:
        signed = add_signature(signed, admin)
    assert verify_update(PAPER.config, signed, NOW_US) == update.config


def test_an_edited_older_configuration_is_refused(tmp_path: Path, original: Path) -> None:
    """Else the changes since would be taken back without a word."""
    later = PAPER.config.followed_by(PAPER.config).followed_by(PAPER.config)
    with pytest.raises(InputError, match=r"made of configuration 0, and the other one is 2: .*--from"):
        compute_update(later, original, NOW_US)
    with pytest.raises(InputError, match="differs in nothing from configuration 0"):
        compute_update(PAPER.config, original, NOW_US)
    edited = write(tmp_path / "other.json", lambda plain: plain["limits"].update(proposal_window_s=9))
    assert compute_update(PAPER.config, edited, NOW_US).config.limits.proposal_window_s == 9


def test_what_comes_back_need_not_be_taken_off_the_lists(tmp_path: Path) -> None:
    gone = PAPER.config.followed_by(replace(PAPER.config, chaincodes={}))
    kv = {"sequence": 2, "version": "1.0", "package": "0" * 64, "policy": "any.peer"}
    path = tmp_path / "edited.json"
    path.write_text(text_of_json({**gone.plain, "chaincodes": {"kv": kv}}))
    assert compute_update(gone, path, NOW_US).config.removed_chaincodes == {}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plain: plain["limits"].update(proposal_window_s="9"), "'proposal_window_s' must be an integer"),
        (lambda plain: plain.pop("limits"), "a channel config"),
        (lambda plain: plain.update(kind="x"), "expected the kind 'channel_config', found 'x'"),
        (lambda plain: plain["peers"].update(peer1=5), "the node peer1"),
        (lambda plain: plain.update(peers=5), "'peers' must be an object"),
        (lambda plain: plain["peers"]["peer1"].update(certificate="-----BEGIN x"), "one PEM certificate was expected"),
        (lambda plain: plain.update(channel="other"), "the update is for the channel 'other'"),
        (lambda plain: plain.update(sequence="1"), "made of configuration '1'"),
        (lambda plain: plain["chaincodes"]["kv"].update(sequence=7), "the next definition has the sequence 2"),
    ],
)
def test_what_is_wrong_in_an_edited_file_is_one_line(tmp_path: Path, edit: Edit, message: str) -> None:
    with pytest.raises(GridLedgerError) as caught:
        compute_update(PAPER.config, write(tmp_path / "edited.json", edit), NOW_US)
    assert message in caught.value.message
    assert caught.value.status == 400
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff\xfe", b'{"kind":1,"kind":2}', b"[" * 10_000])
def test_what_is_no_file_of_ours_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    for read in (read_update, read_config_file):
        with pytest.raises(GridLedgerError, match=r"some\.json: ") as caught:
            read(path)
        assert caught.value.status == 400


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, original: Path) -> None:
    monkeypatch.setattr(update_files, "MAX_FILE_BYTES", 1000)
    for read in (read_update, read_config_file):
        with pytest.raises(GridLedgerError, match=r"shard1\.json: it has more than 1000 bytes"):
            read(original)


def test_an_updates_file_reads_as_it_was_written(tmp_path: Path) -> None:
    update, path = PAPER.update(), tmp_path / "update.json"
    write_update(path, update)
    assert read_update(path) == update
    path.write_bytes(path.read_bytes().replace(b'\\\\\\"raft', b'\\\\\\"boat'))
    with pytest.raises(GridLedgerError, match=r"update.json: .*'consensus' must be"):
        read_update(path)


def test_a_member_signs_once() -> None:
    one, two, _ = PAPER.admins.values()
    update = add_signature(add_signature(PAPER.update([]), one), two)
    assert len(update.signatures) == 2
    renewed = PAPER.organisations["Org1MSP"].issue("admin", "admin")
    for again in (one, renewed):
        with pytest.raises(ConflictError, match="'admin' of Org1MSP has signed this update"):
            add_signature(update, again)


def test_a_signature_that_does_not_hold_keeps_nobody_out() -> None:
    one = PAPER.admins["Org1MSP"]
    other = PAPER.update([one], limits=PAPER.config.limits, consensus="raft", sequence=3)
    update = PAPER.update([])
    forged = type(update)(**{**update.__dict__, "signatures": other.signatures})
    assert forged.holders == []
    assert len(add_signature(forged, one).signatures) == 2
