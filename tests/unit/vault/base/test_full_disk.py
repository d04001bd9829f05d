"""The base on a full disk: it writes nothing but its key, when it starts for the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.vault.base.founding import KEY_FILE, base_key
from services.vault.transport import X25519
from tests.support.paper import PaperOrganisation
from tests.support.paper_profile import paper_profile
from tests.support.processes import REPOSITORY
from tests.support.small_disk import small_disk


def settings_file(folder: Path, data: Path) -> Path:
    """The settings of a base with an identity and a connection profile, of whose network nobody runs."""
    organisation = PaperOrganisation("BaseMSP")
    organisation.issue("base", "client", attributes={"vault.role": "base"}).save(folder / "identity")
    (folder / "roots.pem").write_text(organisation.root)
    application = {"vault": {"channel": "main", "chaincode": "vault"}}
    profile = paper_profile(folder, application).model_copy(update={"roots": folder / "roots.pem"})
    (folder / "connection.json").write_text(profile.model_dump_json())
    settings = {
        "name": "base",
        "connection": str(folder / "connection.json"),
        "identities": {"Base": str(folder / "identity")},
        "port": 5200,
        "data": str(data),
    }
    (folder / "config.json").write_text(json.dumps(settings))
    return folder / "config.json"


@pytest.mark.parametrize("free_kib", [0, 4])
def test_a_base_that_cannot_keep_its_key_says_so_and_ends(tmp_path: Path, free_kib: int) -> None:
    """Whether the disk is full before the folder is locked, or before the key is written."""
    with small_disk(tmp_path / "disk", mib=1) as disk:
        data = disk.root / "data"
        config = settings_file(tmp_path, data)
        disk.fill(free_kib=free_kib)
        command = [sys.executable, "-m", "services.vault.base", "--config", str(config)]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
        said = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert (ended.returncode, len(said)) == (1, 1), ended.stderr
        assert said[0].startswith(f"error: no space left on device: free space in {data}")
        assert "Traceback" not in ended.stderr
        assert not (data / KEY_FILE).exists()
        disk.make_room()
        assert base_key(data, X25519).public == base_key(data, X25519).public
