"""The machine and the code that something ran on, for reports: processor, system, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_GIT_S = 10.0
_TYPE = (("family", "cpu family"), ("model", "model"))
"""Members of /proc/cpuinfo, and what they are called here; only x86 has them."""


def processor() -> str:
    """The processor's type, as Linux names it, or as Python knows it.

    With family and model: virtual machines name many types alike, and numerical libraries choose their code by type.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    type_of = ", ".join(f"{word} {said[name]}" for word, name in _TYPE if name in said)
    return said.get("model name", platform.machine()) + (f" ({type_of})" if type_of else "")


def commit_of(folder: Path) -> str:
    """The commit of the checkout at ``folder``, or "unknown": there may be no git, or no history."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git of the PATH
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in bytes, system."""
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "system": platform.platform(),
    }


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
