from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gridledger.errors import GridLedgerError, SettingsError
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.events import KINDS, salted_hash
from gridledger.evidence.sealed_body import open_body, seal_body
from services.lightnode.errors import DeviceUnknown, EventRefused
from services.lightnode.intake import Intake
from services.lightnode.settings import LightNodeDevice

NOW_US = 1_700_000_000_000_000
KEY = X25519PrivateKey.from_private_bytes(b"\x07" * 32)


def device(kind: str = "meter", **more: object) -> LightNodeDevice:
    return LightNodeDevice(device="d-1", section="section-home", type=kind, **more)  # type: ignore[arg-type]


def intake(kind: str = "relay", **more: object) -> Intake:
    return Intake((device(kind, **more),), lambda: NOW_US)


INTAKE = intake()


def test_an_event_is_recorded_as_it_was_told():
    entry, body, identity = intake().event({"device": "d-1", "kind": "alarm", "time_us": 5, "body": {"a": 1.5}})
    assert (entry.kind, entry.time_us, entry.body, entry.body_hash, body) == ("alarm", 5, '{"a":1.5}', None, None)
    again = intake().event({"device": "d-1", "kind": "alarm", "time_us": 5, "body": '{"a":1.5}'})
    assert again[2] == identity
    assert intake().event({"kind": "alarm", "body": ' {"b" : 2}'}, "d-1")[0].body == ' {"b" : 2}'


def test_without_a_time_the_node_s_clock_is_taken_and_each_is_another_event():
    made = intake()
    first, second = (made.event({"device": "d-1", "kind": "alarm"}) for _ in range(2))
    assert first[0].time_us == NOW_US
    assert first[2] != second[2]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (None, "event"),
        ([], "event"),
        ({"device": "d-1", "kind": "alarm", "more": 1}, "event"),
        ({"kind": "alarm"}, "device"),
        ({"device": "d-1"}, "kind"),
        ({"device": "d-1", "kind": "nonsense"}, "kind"),
        ({"device": "d-1", "kind": "batch"}, "kind"),
        ({"device": "d-1", "kind": "payment"}, "kind"),
        ({"device": "d-1", "kind": "alarm", "time_us": -1}, "time_us"),
        ({"device": "d-1", "kind": "alarm", "time_us": 1.5}, "time_us"),
        ({"device": "d-1", "kind": "alarm", "time_us": True}, "time_us"),
        ({"device": "d-1", "kind": "alarm", "time_us": 10**16}, "time_us"),
        ({"device": "d-1", "kind": "alarm", "body": 7}, "body"),
        ({"device": "d-1", "kind": "alarm", "body": "no JSON"}, "body"),
        ({"device": "d-1", "kind": "alarm", "body": '{"a":1,"a":2}'}, "body"),
        ({"device": "d-1", "kind": "alarm", "body": {"a": "x" * 4096}}, "body"),
    ],
)
def test_what_is_no_event_is_refused_by_its_member(told, field):
    with pytest.raises(EventRefused, match=f"^{field}: ") as refused:
        intake().event(told)
    assert refused.value.code == "EVENT_REFUSED"


def test_a_device_that_is_not_the_node_s_is_refused():
    with pytest.raises(DeviceUnknown) as refused:
        intake().event({"device": "d-2", "kind": "alarm"})
    assert refused.value.code == "DEVICE_UNKNOWN"


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["d-1", "alarm", "{}"])


@given(st.dictionaries(st.sampled_from(["device", "kind", "time_us", "body", "x"]), VALUES, max_size=5) | VALUES)
def test_anything_is_an_event_or_refused(told):
    try:
        entry, _, _ = INTAKE.event(told)
    except GridLedgerError as error:
        assert error.status in (400, 404)  # noqa: PT017
    else:
        assert entry.kind in KINDS


def test_a_private_body_stays_off_the_ledger():
    entry, body, _ = intake("meter").event({"device": "d-1", "kind": "reading", "body": {"kwh": 17.3}})
    assert body is not None
    assert (entry.body, entry.sealed) == (None, None)
    assert entry.body_hash == body.sha256 == salted_hash(body.salt, '{"kwh":17.3}')
    assert entry.body_sha256 == entry.body_hash
    other = intake("meter").event({"device": "d-1", "kind": "reading", "body": {"kwh": 17.3}})[0]
    assert other.body_hash != entry.body_hash


def test_a_sealed_body_opens_for_its_reader_only():
    public = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
    other = X25519PrivateKey.from_private_bytes(b"\x08" * 32)
    other_public = base64.b64encode(other.public_key().public_bytes_raw()).decode()
    for readers, keys in (((public,), (KEY,)), ((other_public, public), (KEY, other))):
        made = intake("meter", readers=readers)
        entry, _, _ = made.event({"device": "d-1", "kind": "reading", "body": {"kwh": 17.3}})
        assert entry.sealed is not None
        for key in keys:
            where = ("section-home", "d-1", entry.body_hash or "")
            assert open_body(key, *where, entry.sealed or "") == '{"kwh":17.3}'
            for wrong in (("section-plant", "d-1"), ("section-home", "d-2")):
                with pytest.raises(EvidenceError):
                    open_body(key, *wrong, entry.body_hash or "", entry.sealed or "")
    stranger = X25519PrivateKey.generate()
    with pytest.raises(EvidenceError, match="not for this key"):
        open_body(stranger, "section-home", "d-1", entry.body_hash or "", entry.sealed or "")


def test_a_sealed_body_that_the_hash_does_not_name_is_told():
    reader = KEY.public_key()
    sealed = seal_body([reader], "c", "d", b"\x01" * 16, "{}")
    with pytest.raises(EvidenceError):
        open_body(KEY, "c", "d", salted_hash(b"\x02" * 16, "{}"), sealed)
    for wrong in ("", "AAAA", "!", sealed[:-8]):
        with pytest.raises(EvidenceError):
            open_body(KEY, "c", "d", salted_hash(b"\x01" * 16, "{}"), wrong)
    with pytest.raises(EvidenceError, match="too long"):
        seal_body([reader] * 2, "c", "d", b"\x01" * 16, "x" * 4000)


def test_settings_that_cannot_be_are_told():
    with pytest.raises(SettingsError, match="nonsense"):
        intake("meter", kinds=("nonsense",))
    with pytest.raises(SettingsError, match="readers"):
        intake("meter", readers=("AAAA",))
    assert intake("meter", kinds=("gps",)).event({"device": "d-1", "kind": "gps"})[0].kind == "gps"
