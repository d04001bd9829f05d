"""An index of the case desk, and the chains that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.case.serving.index import Index
from tests.support.case_blocks import PLACES
from tests.support.case_chains import Chains


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path, PLACES)
    yield opened
    opened.close()


@pytest.fixture
def chains() -> Chains:
    return Chains()
