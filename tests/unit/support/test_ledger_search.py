"""The search for shares on a ledger finds what is planted once, in each form in which bytes are written."""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Callable

import pytest

from gridledger.sharing import profiles
from tests.support import ledger_search
from tests.support.ledger_search import WINDOW, ShareSearch, elements_of, forms

IDS = [101, 102, 103, 104, 105]
T = 3


@pytest.fixture(scope="module")
def cuts() -> dict[str, dict[int, bytes]]:
    data = random.Random(7).randbytes(3000)
    return {
        profile: profiles.split(profile, data, T, IDS, head=b"{}", randbytes=os.urandom).shares
        for profile in ("sealed", "article", "shamir")
    }


@pytest.fixture(scope="module")
def search(cuts: dict[str, dict[int, bytes]]) -> ShareSearch:
    shares = {f"{profile} {x}": share for profile, cut in cuts.items() for x, share in cut.items()}
    elements = [
        value for profile, cut in cuts.items() for share in cut.values() for value in elements_of(profile, share)
    ]
    return ShareSearch(shares, elements)


def around(planted: bytes) -> bytes:
    """A value of the ledger with something planted once."""
    head = json.dumps({"object": "oil-2026.11", "root": random.Random(1).randbytes(32).hex(), "n": 5}).encode()
    return head + b'{"x":"' + planted + b'"}' + head


def base64_at(alignment: int, url: bool) -> Callable[[bytes], bytes]:
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return lambda window: encode(b"!?"[:alignment] + window + b"tail"[: 2 - alignment])


def in_an_envelope(window: bytes) -> bytes:
    return base64.b64encode(json.dumps({"args": [window.hex().upper()]}).encode())


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "hex": lambda window: window.hex().encode(),
    "HEX": lambda window: window.hex().upper().encode(),
    "hex behind a digit": lambda window: b"a" + window.hex().encode(),
    **{f"base64, {at} before": base64_at(at, False) for at in range(3)},
    **{f"base64url, {at} before": base64_at(at, True) for at in range(3)},
    "base64 behind letters": lambda window: b"abc" + base64.b64encode(window),
    "hex in JSON in base64": in_an_envelope,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("profile", ["sealed", "article", "shamir"])
def test_sixteen_bytes_are_found_in_each_form(
    search: ShareSearch, cuts: dict[str, dict[int, bytes]], profile: str, form: str
) -> None:
    share = cuts[profile][104]
    for at in (len(share) - WINDOW, 517, 300):
        found = search.find([("state", around(FORMS[form](share[at : at + WINDOW])))])
        assert found, at
        assert f"of {profile} 104" in found[0]


def test_base64url_with_its_own_letters_is_found(search: ShareSearch, cuts: dict[str, dict[int, bytes]]) -> None:
    share = cuts["article"][101]
    at = next(at for at in range(len(share)) if set(b"-_") & set(base64.urlsafe_b64encode(share[at : at + 18])[3:20]))
    assert search.find([("state", around(base64.urlsafe_b64encode(share[at : at + 18])))])


@pytest.mark.parametrize("profile", ["sealed", "article", "shamir"])
@pytest.mark.parametrize("wrap", [bytes, lambda text: b"12" + text + b"7", lambda text: base64.b64encode(b"n=" + text)])
def test_an_element_is_found_as_decimal_text(
    search: ShareSearch, cuts: dict[str, dict[int, bytes]], profile: str, wrap: Callable[[bytes], bytes]
) -> None:
    text = str(elements_of(profile, cuts[profile][102])[-1]).encode()
    assert "as text" in search.find([("state", around(wrap(text)))])[0]


def test_what_is_no_part_of_a_share_is_not_found(search: ShareSearch, cuts: dict[str, dict[int, bytes]]) -> None:
    share = cuts["sealed"][103]
    other = random.Random(3)
    assert search.find([("state", around(plant(other.randbytes(WINDOW)))) for plant in FORMS.values()]) == []
    assert search.find([("short", around(share[400 : 400 + WINDOW - 1] + bytes([share[400 + WINDOW - 1] ^ 1])))]) == []
    assert search.find([("zeros", around(bytes(64))), ("digits", around(b"9" * 400))]) == []
    assert search.elements == sum(
        len(elements_of(profile, share)) for profile, cut in cuts.items() for share in cut.values()
    )


def test_an_element_of_the_key_counts_as_one(cuts: dict[str, dict[int, bytes]]) -> None:
    (value,) = elements_of("sealed", cuts["sealed"][101])
    assert value.to_bytes(66, "big") == cuts["sealed"][101][10:76]
    assert elements_of("copies", b"all of it") == []


def test_forms_go_as_deep_as_they_are_told() -> None:
    inner = base64.b64encode(b"sixteen bytes are needed here")
    twice = base64.b64encode(b"and again: " + inner)
    assert any(b"sixteen bytes are" in found for _, found in forms(twice, 2))
    assert not any(b"sixteen bytes are" in found for _, found in forms(twice, 1))


def test_many_pieces_are_searched_in_batches(
    search: ShareSearch, cuts: dict[str, dict[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_search, "_BATCH_BYTES", 10_000)
    noise = random.Random(5)
    pieces = [(f"block {number}", noise.randbytes(6000)) for number in range(6)]
    planted = cuts["sealed"][101][200:216]
    pieces[1] = ("block 1", pieces[1][1][:1000] + planted + pieces[1][1][1000:])
    assert [line.partition(",")[0] for line in search.find(pieces)] == ["block 1"]
