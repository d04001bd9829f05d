"""Fixtures of the vault's unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vault_world import VaultWorld

NAMES = ("m1-a", "m1-b", "m1-c", "m1-d", "m1-e")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VaultWorld]:
    """Five holders of which any three give an object back."""
    made = VaultWorld(tmp_path / "world", NAMES, t=3)
    yield made
    made.close()
