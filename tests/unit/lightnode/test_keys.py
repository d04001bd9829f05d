from __future__ import annotations

import stat

import pytest

from gridledger.errors import CorruptionError
from gridledger.evidence import schnorr
from gridledger.evidence.events import registration_text
from services.lightnode.keys import Keys, ProofKey, registration, rotation


def test_a_key_is_made_once_and_nobody_else_may_read_it(tmp_path):
    keys = Keys(tmp_path / "keys")
    key = keys.key("pmu-1")
    assert Keys(tmp_path / "keys").key("pmu-1") == key
    assert keys.key("pmu-2") != key
    assert stat.S_IMODE((tmp_path / "keys" / "pmu-1").stat().st_mode) == 0o600
    assert str(key.secret) not in repr(key)
    assert f"{key.secret:x}" not in repr(key)


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path):
    keys = Keys(tmp_path)
    keys.key("pmu-1")
    (tmp_path / "pmu-1").chmod(0o640)
    with pytest.raises(CorruptionError, match="can be read by others"):
        keys.key("pmu-1")
    for text in ("", "0" * 64, "f" * 64, "x" * 64):
        (tmp_path / "pmu-1").write_text(text)
        (tmp_path / "pmu-1").chmod(0o600)
        with pytest.raises(CorruptionError):
            keys.key("pmu-1")


def test_a_registration_is_proved_by_the_device_s_key(tmp_path):
    key = Keys(tmp_path).key("pmu-1")
    told = registration(key, "devices", "a" * 64)
    text = registration_text("devices", "pmu-1", "a" * 64, key.public)
    public = bytes.fromhex(key.public)
    assert schnorr.verify(public, "pmu-1", text, schnorr.Proof.of(told.proof))
    assert not schnorr.verify(public, "pmu-2", text, schnorr.Proof.of(told.proof))


def test_a_rotation_is_proved_by_both_keys_and_gone_over_to_once(tmp_path):
    keys = Keys(tmp_path)
    old = keys.key("pmu-1")
    assert keys.next_key_if_any("pmu-1") is None
    new = keys.next_key("pmu-1")
    assert keys.next_key_if_any("pmu-1") == new
    by_old, by_new = rotation(old, new, "devices", "a" * 64)
    text = registration_text("devices", "pmu-1", "a" * 64, new.public)
    for key, proof in ((old, by_old), (new, by_new)):
        assert schnorr.verify(bytes.fromhex(key.public), "pmu-1", text, schnorr.Proof.of(proof))
    assert keys.go_over("pmu-1") == new
    assert keys.key("pmu-1") == new
    assert keys.next_key_if_any("pmu-1") is None


def test_a_source_of_randomness_that_repeats_itself_gives_no_key_away():
    key = ProofKey("pmu-1", 7, randbytes=lambda count: b"\x07" * count)
    first, second = (schnorr.Proof.of(key.prove(text)) for text in ("one", "two"))
    assert first.v != second.v
