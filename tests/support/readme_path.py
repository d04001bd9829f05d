"""A page's path: its code blocks, carried out as they stand, in order, each timed. README's first chaincode is one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gridledger.network.schema import load_network_config
from tests.support.network_configs import with_free_ports
from tests.support.processes import REPOSITORY

SECTION = "## Your first chaincode\n"
NETWORK = "network-config/three-shards.yaml"
_FILE = re.compile(r"`([\w./-]+\.py)`:\n\n```python\n(.*?)```\n", re.DOTALL)
_COMMAND = re.compile(r"^    (\S.*)$", re.MULTILINE)
_STEP = """\
begin=$EPOCHREALTIME
{{ {command}
}} >{output} 2>&1
code=$?
printf '%s %s %s\\n' $code $begin $EPOCHREALTIME >>{steps}
[ $code = 0 ] || exit 1
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page: what it said, its exit code, and how long it took."""

    command: str
    output: str
    code: int
    seconds: float


def files_and_commands(text: str) -> tuple[dict[str, str], list[str]]:
    """The files that a page has its reader write, and the lines that it has them type."""
    prose = _FILE.sub("", text)
    return dict(_FILE.findall(text)), [line.partition("  #")[0].rstrip() for line in _COMMAND.findall(prose)]


def walk(checkout: Path, *, environment: Mapping[str, str], within_s: float) -> list[Step]:
    """Go the path of README's first chaincode: see :func:`walk_page`."""
    section = (checkout / "README.md").read_text(encoding="utf-8").partition(SECTION)[2].partition("\n## ")[0]
    return walk_page(section, checkout, environment=environment, within_s=within_s)


def walk_page(page: str, checkout: Path, *, environment: Mapping[str, str], within_s: float) -> list[Step]:
    """Go a page's path in a checkout, up to the first command that fails. Whatever happens, its network is stopped."""
    files, commands = files_and_commands(page)
    for name, text in files.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    said = checkout / "said"
    said.mkdir()
    script = "".join(
        _STEP.format(command=command, output=said / str(number), steps=said / "steps")
        for number, command in enumerate(commands)
    )
    _run(script, checkout, environment, within_s)
    steps = []
    for number, line in enumerate((said / "steps").read_text().splitlines()):
        code, begin, end = line.split()
        seconds = float(end.replace(",", ".")) - float(begin.replace(",", "."))
        steps.append(Step(commands[number], (said / str(number)).read_text("utf-8", "replace"), int(code), seconds))
    return steps


def _run(script: str, checkout: Path, environment: Mapping[str, str], within_s: float) -> None:
    bash = subprocess.Popen(
        ["bash"], cwd=checkout, env=dict(environment), stdin=subprocess.PIPE, start_new_session=True, text=True
    )
    try:
        bash.communicate(script, timeout=within_s)
    finally:
        down = [sys.executable, "-m", "gridledger.cli", "down"]
        subprocess.run(down, cwd=checkout, env=dict(environment), check=False, capture_output=True)
        with suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGKILL)  # what it left in the background
        bash.wait()


def copy_of_the_checkout(folder: Path) -> Path:
    """A copy of this checkout whose ``.venv`` is the present interpreter's, so that ``make`` has nothing to install."""
    checkout = folder / "checkout"
    parts = ("gridledger", "services", "chaincode", "network-config", "requirements", "docs/examples")
    for part in parts:
        shutil.copytree(REPOSITORY / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, checkout)
    binaries = checkout / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name, text in (
        ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'),
        ("gridledger", f'#!/bin/sh\nexec "{sys.executable}" -m gridledger.cli "$@"\n'),
        ("activate", f'PATH="{binaries}:$PATH"\n'),
    ):
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    (binaries.parent / ".installed").touch()
    return checkout


def move_ports(checkout: Path) -> int:
    """Give the network of the pages ports that nobody else has; by how much they moved."""
    path = checkout / NETWORK
    config = load_network_config(path)
    offset = with_free_ports(config).ca.port - config.ca.port
    text = path.read_text(encoding="utf-8")
    moved = re.sub(r"port: (\d+)", lambda found: f"port: {int(found[1]) + offset}", text)
    path.write_text(moved, encoding="utf-8")
    return offset


def environment() -> dict[str, str]:
    """The environment of a new terminal: nothing of a virtual environment, no settings of GridLedger."""
    ours = ("GRIDLEDGER_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
