"""The commit hash against a second implementation, made from the documentation, sharing no code with the first."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gridledger.protocol.commit_hash import commit_hash

HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAMES = st.text(min_size=1, max_size=12)
UPDATES = st.dictionaries(st.tuples(NAMES, NAMES), st.one_of(st.none(), st.binary(max_size=20)), max_size=8)


def reference(
    previous: str, number: int, header: str, codes: list[int], updates: dict[tuple[str, str], bytes | None]
) -> str:
    digest = hashlib.sha256()

    def feed(data: bytes) -> None:
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)

    feed(bytes.fromhex(previous))
    feed(number.to_bytes(8, "big"))
    feed(bytes.fromhex(header))
    feed(bytes(codes))
    for namespace, key in sorted(updates, key=lambda place: (place[0].encode("utf-8"), place[1].encode("utf-8"))):
        value = updates[namespace, key]
        feed(namespace.encode("utf-8"))
        feed(key.encode("utf-8"))
        feed(b"\x01" if value is None else b"\x00" + value)
    return digest.hexdigest()


@given(HASHES, st.integers(0, 2**63), HASHES, st.lists(st.integers(0, 255), max_size=5), UPDATES)
def test_is_what_the_documentation_says(
    previous: str, number: int, header: str, codes: list[int], updates: dict[tuple[str, str], bytes | None]
) -> None:
    assert commit_hash(previous, number, header, codes, updates) == reference(previous, number, header, codes, updates)


def test_a_known_value() -> None:
    found = commit_hash("00" * 32, 7, "11" * 32, [0, 11], {("kv", "b"): b"1", ("kv", "a"): None})
    text = (
        "00000020" + "00" * 32 + "00000008" + "0000000000000007" + "00000020" + "11" * 32 + "00000002" + "000b"
        "00000002" + "6b76" + "00000001" + "61" + "00000001" + "01"
        "00000002" + "6b76" + "00000001" + "62" + "00000002" + "0031"
    )
    assert found == hashlib.sha256(bytes.fromhex(text)).hexdigest()


def test_a_deletion_is_no_empty_value() -> None:
    place = ("kv", "a")
    assert commit_hash("00" * 32, 1, "11" * 32, [0], {place: None}) != commit_hash(
        "00" * 32, 1, "11" * 32, [0], {place: b""}
    )
