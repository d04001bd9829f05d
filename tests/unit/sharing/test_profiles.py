"""Splitting and joining by profile: what services call."""

from __future__ import annotations

import random
import subprocess
import sys
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.extras import MissingExtra
from gridledger.sharing import profiles, sealed
from gridledger.sharing.errors import ShareBroken, SharingError, TooFewShares
from gridledger.sharing.profiles import (
    MAX_PART_BYTES,
    PROFILES,
    join,
    needed,
    part_lengths,
    resplit,
    share_bytes,
    split,
)
from tests.support.examples import examples


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(PROFILES), st.binary(max_size=400), st.integers(2, 5), st.integers(0, 2**32))
def test_any_shares_that_suffice_join_and_give_all_others(profile: str, data: bytes, t: int, seed: int) -> None:
    drawn = random.Random(seed)
    ids = [drawn.randrange(1, 2**64) for _ in range(t + 3)]
    cut = split(profile, data, t, ids, head=b"head", randbytes=drawn.randbytes)
    assert list(cut.shares) == ids
    assert {len(share) for share in cut.shares.values()} == {share_bytes(profile, len(data), t)}
    if profile != "sealed":
        assert cut.cipher_sha256 == sha256(data).hexdigest()
    known = {x: cut.shares[x] for x in drawn.sample(ids, needed(profile, t))}
    told: dict[str, Any] = {"head": b"head", "length": len(data), "cipher_sha256": cut.cipher_sha256}
    assert join(profile, known, t, ids, **told) == data
    assert resplit(profile, data, known, t, ids, head=b"head") == cut.shares
    known.pop(next(iter(known)))
    with pytest.raises(TooFewShares, match=rf"needs {needed(profile, t)} of {t + 3}, {len(known)} are there"):
        join(profile, known, t, ids, **told)


def test_the_order_of_shares_does_not_matter_that_of_ids_does() -> None:
    ids = [3, 1, 2]
    cut = split("sealed", b"reading", 2, ids, head=b"", randbytes=random.Random(1).randbytes)
    told: dict[str, Any] = {"head": b"", "length": 7, "cipher_sha256": cut.cipher_sha256}
    assert join("sealed", {2: cut.shares[2], 3: cut.shares[3]}, 2, ids, **told) == b"reading"
    with pytest.raises(ShareBroken, match="header"):
        join("sealed", {2: cut.shares[2], 3: cut.shares[3]}, 2, sorted(ids), **told)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_cannot_be_joined_is_named(profile: str) -> None:
    ids = [1, 2, 3]
    cut = split(profile, b"reading", 2, ids, head=b"", randbytes=random.Random(1).randbytes)
    told: dict[str, Any] = {"head": b"", "length": 7, "cipher_sha256": cut.cipher_sha256}
    with pytest.raises(SharingError, match="4 is none of the ids"):
        join(profile, {**cut.shares, 4: cut.shares[1]}, 2, ids, **told)
    with pytest.raises(ShareBroken, match="the share of 2 has"):
        join(profile, {1: cut.shares[1], 2: cut.shares[2] + b"x"}, 2, ids, **told)
    with pytest.raises(ShareBroken):
        join(profile, {1: cut.shares[2], 2: cut.shares[1]}, 2, ids, **{**told, "cipher_sha256": "00" * 32})
    with pytest.raises(SharingError):
        join(profile, cut.shares, 1, ids, **told)


@pytest.mark.parametrize("profile", ["article", "shamir"])
def test_shares_that_were_swapped_are_found_by_the_datas_hash(profile: str) -> None:
    ids = [1, 2, 3]
    cut = split(profile, b"reading", 2, ids, head=b"", randbytes=random.Random(1).randbytes)
    with pytest.raises(ShareBroken):
        join(profile, {1: cut.shares[2], 2: cut.shares[1]}, 2, ids, head=b"", length=7, cipher_sha256=cut.cipher_sha256)


def test_another_profile_is_refused() -> None:
    for call in (
        lambda: needed("plain", 2),
        lambda: share_bytes("plain", 1, 2),
        lambda: split("plain", b"", 2, [1, 2], head=b"", randbytes=random.Random(1).randbytes),
        lambda: profiles.split_plain("sealed", b"", 2, [1, 2], lambda: 1),
        lambda: profiles.join_plain("sealed", {1: b"", 2: b""}, 2, [1, 2]),
    ):
        with pytest.raises(SharingError, match="profile: "):
            call()


def test_parts_of_an_object() -> None:
    mib = 1024 * 1024
    assert part_lengths(0) == [0]
    assert part_lengths(16 * mib) == [16 * mib]
    assert part_lengths(16 * mib + 1) == [16 * mib, 1]
    assert part_lengths(64 * mib) == [16 * mib] * 4
    with pytest.raises(SharingError, match="length: 67108865 bytes are more than 67108864"):
        part_lengths(64 * mib + 1)


@pytest.mark.parametrize("profile", ["sealed", "copies"])
def test_a_part_of_16_mib_and_one_byte_more(profile: str) -> None:
    data = bytes(MAX_PART_BYTES)
    cut = split(profile, data, 2, [1, 2, 3], head=b"", randbytes=random.Random(1).randbytes)
    known = {x: cut.shares[x] for x in (2, 3)}
    told: dict[str, Any] = {"head": b"", "length": len(data), "cipher_sha256": cut.cipher_sha256}
    assert join(profile, known, 2, [1, 2, 3], **told) == data
    with pytest.raises(SharingError, match="data: 16777217 bytes"):
        split(profile, data + b"\0", 2, [1, 2, 3], head=b"", randbytes=random.Random(1).randbytes)


def test_without_pyeclib_the_profile_sealed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed._driver.cache_clear()
    monkeypatch.setitem(sys.modules, "pyeclib", None)
    with pytest.raises(MissingExtra, match=r"the profile sealed needs pyeclib.*gridledger\[vault\]"):
        split("sealed", b"", 2, [1, 2, 3], head=b"", randbytes=random.Random(1).randbytes)


def test_the_other_profiles_run_on_the_base_install() -> None:
    script = (
        "import os, sys; sys.modules['pyeclib'] = None\n"
        "from gridledger.sharing import attack, commitment, leak, masks, profiles\n"
        "for profile in ('article', 'shamir', 'copies'):\n"
        "    cut = profiles.split(profile, b'x', 2, [1, 2, 3], head=b'', randbytes=os.urandom)\n"
        "    told = {'head': b'', 'length': 1, 'cipher_sha256': cut.cipher_sha256}\n"
        "    assert profiles.join(profile, cut.shares, 2, [1, 2, 3], **told) == b'x'\n"
        "assert not {'fastapi', 'aiohttp', 'lmdb'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
