"""A peer's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import SettingsError
from services.peer import settings as settings_module


def test_settings_are_anchored_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    members = {
        "name": "peer1",
        "mspid": "Org1MSP",
        "identity": "msp",
        "port": 7151,
        "data": "data",
        "genesis": "/elsewhere",
        "roots": "roots.pem",
        "channels": ["c"],
    }
    path.write_bytes(jsontext.dumps(members))
    settings = settings_module.load(path)
    assert settings.identity == tmp_path / "msp"
    assert settings.genesis == Path("/elsewhere")
    assert settings.ledger_directory == tmp_path / "data" / "ledger"
    path.write_bytes(jsontext.dumps({**members, "port": 0, "hosts": {"processs": 1}}))
    with pytest.raises(SettingsError) as caught:
        settings_module.load(path)
    assert "port" in caught.value.message
    assert "hosts.processs" in caught.value.message
