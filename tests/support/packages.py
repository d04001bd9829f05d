"""Chaincode packages for tests."""

from __future__ import annotations

from pathlib import Path

from gridledger.contract import packaging
from tests.support.processes import REPOSITORY

KV = packaging.pack(REPOSITORY / "chaincode" / "kv")
KV_ID = packaging.package_id(KV)


def broken_package(folder: Path) -> bytes:
    """A package that does not load, made in ``folder``."""
    folder.mkdir()
    (folder / "contract.py").write_text("raise ValueError('it does not load')\n")
    return packaging.pack(folder)
