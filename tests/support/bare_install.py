"""Python as it is where only the base is installed, or where the system is not POSIX: what is missing is hidden.

The hiding happens in a process of its own, before anything of GridLedger is imported there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from tests.support.processes import REPOSITORY

POSIX_MODULES = frozenset({"fcntl", "grp", "pwd", "resource", "termios", "tty", "syslog"})
"""Modules of the standard library that Windows lacks."""

_PROGRAM = """
import json, os, signal, sys

hidden, not_posix = set(json.loads(sys.argv[1])), json.loads(sys.argv[2])

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
for name in [name for name in sys.modules if name.partition(".")[0] in hidden]:
    del sys.modules[name]
if not_posix:
    for module, names in (
        (os, ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "fchmod", "fork", "getuid", "geteuid", "killpg", "setsid")),
        (signal, ("SIGKILL", "SIGHUP", "SIGUSR1", "pthread_sigmask", "sigtimedwait")),
    ):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
sys.argv[:] = sys.argv[3:]
exec(sys.argv[0])
"""
_NAME_END = re.compile(r"[^\w.-]")
_COMMAND = "import gridledger.cli; sys.exit(gridledger.cli.main(sys.argv[1:]))"
RUN_EACH = """
import contextlib, io, json, sys
from gridledger.cli import main

told = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(arguments)
    told.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""
"""Runs commands one after the other in one process, whose imports take a second; :func:`ran` reads what it prints."""


def run_bare(program: str, *arguments: str | Path, cwd: Path, posix: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a program's text with the base's packages alone; unless ``posix``, without what only POSIX systems have."""
    hidden = sorted(_beyond_the_base() | (frozenset() if posix else POSIX_MODULES))
    command = [sys.executable, "-c", _PROGRAM, json.dumps(hidden), json.dumps(not posix), program]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bare_command(*arguments: str | Path, cwd: Path, posix: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command ``gridledger`` in that way."""
    return run_bare(_COMMAND, *arguments, cwd=cwd, posix=posix)


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command of several ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def ran(done: subprocess.CompletedProcess[str]) -> list[Ran]:
    """What came of each command of :data:`RUN_EACH`."""
    assert done.returncode == 0, done.stderr
    return [Ran(*told) for told in json.loads(done.stdout)]


def bare_commands(commands: Iterable[Sequence[str]], *, cwd: Path) -> list[Ran]:
    """Run commands ``gridledger`` in that way, one after the other in one process."""
    return ran(run_bare(RUN_EACH, json.dumps(list(map(list, commands))), cwd=cwd))


@cache
def _beyond_the_base() -> frozenset[str]:
    """The installed modules that ``pip install gridledger`` does not bring."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    base = {"gridledger"} | _with_dependencies(project["dependencies"])
    return frozenset(
        module
        for module, distributions in packages_distributions().items()
        if not any(plain(name) in base for name in distributions)
    )


def _with_dependencies(requirements: list[str]) -> set[str]:
    """The names of the distributions that are asked for, and of all that they ask for."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        name = plain(_NAME_END.split(waiting.pop(), maxsplit=1)[0])
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # for another system
        # What an extra brings is not asked for; nor do any of the base's dependencies ask for another's extra.
        waiting.extend(line for line in lines if "extra ==" not in line)
    return found


def plain(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
