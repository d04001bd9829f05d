"""Configurations that are made to cost whoever reads them as much as can be, and a count of what they cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from gridledger.protocol.config import ChannelConfig, Organisation
from tests.support.paper import PaperOrganisation

_VERIFICATIONS = frozenset({"verify", "is_signature_valid", "verify_directly_issued_by"})
"""How the functions of cryptography are called that check a signature."""


def with_roots_times_lists(current: ChannelConfig, count: int, *, organisations: int = 1) -> ChannelConfig:
    """The next configuration, with organisations more of ``count`` roots and as many lists, which only the last of
    the roots has signed. All roots have one name and no key id, so that each may be the one."""
    added = dict(current.organisations)
    for number in range(organisations):
        mspid = f"Heavy{number}MSP"
        roots = [PaperOrganisation(mspid) for _ in range(count)]
        lists = tuple(roots[-1].crl() for _ in range(count))
        added[mspid] = Organisation(mspid, tuple(root.root for root in roots), lists)
    return replace(current, sequence=current.sequence + 1, organisations=added)


@contextmanager
def counted_verifications() -> Iterator[list[str]]:
    """The names of the verifications that cryptography is asked for meanwhile, in this thread."""
    found: list[str] = []

    def note(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in _VERIFICATIONS:
            found.append(function.__name__)

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
