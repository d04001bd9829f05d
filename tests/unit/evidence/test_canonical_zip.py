"""Archives of one form: what is packed comes back, and no other bytes are taken."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.evidence import canonical_zip
from gridledger.evidence.errors import EvidenceError

NAMES = st.from_regex(r"[a-z_-][a-z._-]{0,5}(/[a-z]{1,5}){0,2}", fullmatch=True)
FILES = st.dictionaries(NAMES, st.binary(max_size=30), max_size=5)


@given(FILES)
def test_what_is_packed_comes_back_in_its_order(files: dict[str, bytes]) -> None:
    data = canonical_zip.pack(files)
    assert list(canonical_zip.unpack(data).items()) == list(files.items())
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert all(item.date_time == (1980, 1, 1, 0, 0, 0) for item in archive.infolist())


@given(FILES, st.data())
def test_any_other_bytes_are_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    packed = bytearray(canonical_zip.pack(files))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(EvidenceError):
        canonical_zip.unpack(bytes(packed))


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a b", "ж", "a" * 201])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(EvidenceError, match="is no name for a file here"):
        canonical_zip.pack({name: b""})
