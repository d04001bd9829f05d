"""One feeder at a time in a network's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridledger.errors import ConflictError
from services.feeder.one_feeder import only_feeder


async def test_a_second_feeder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    async with only_feeder(tmp_path):
        for way in (tmp_path, tmp_path / "connection-profile.yaml"):
            with pytest.raises(ConflictError, match=f"another feeder .* \\(process {os.getpid()}\\): wait for its end"):
                async with only_feeder(way):
                    pytest.fail("two feeders")
    async with only_feeder(tmp_path):
        pass


async def test_another_network_has_a_feeder_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with only_feeder(tmp_path / "one"), only_feeder(tmp_path / "other"):
        pass
