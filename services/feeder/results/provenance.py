"""Where results come from: versions, commit, lock and machine, for run.json."""

from __future__ import annotations

import platform
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from gridledger.machine import commit_of, machine

_PROJECT: Final = Path(__file__).resolve().parents[3]
_PACKAGES: Final = ("gridledger", "numpy", "scipy", "pandapower", "pandas", "pyarrow")


def provenance() -> dict[str, Any]:
    """Versions, commit (``-dirty`` where files differ from it), SHA-256 of the lock for the feeder, machine."""
    lock = _PROJECT / "requirements" / "feeder.lock"
    return {
        "versions": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            **{package: _version(package) for package in _PACKAGES},
        },
        "commit": commit_of(_PROJECT),
        "lock_sha256": sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
        "machine": machine(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
