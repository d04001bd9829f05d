"""The first run: requirements/install.sh makes the virtual environment or says what is missing; the locks agree."""

from __future__ import annotations

import re
import signal as signals
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.processes import REPOSITORY

INSTALL = REPOSITORY / "requirements" / "install.sh"
LOCKS = ("services", "feeder", "bench", "dev")
PIN = re.compile(r"^([a-z0-9][^ \\]*==.*?) *\\?$", re.MULTILINE)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with nothing in it: what is tested is the way there."""
    path = tmp_path / "nothing.lock"
    path.touch()
    return path


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return tmp_path / "venv"


def install(venv: Path, lock: Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (INSTALL, python, venv, lock)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, preexec_fn=_heed_interrupts
    )


def _heed_interrupts() -> None:
    """A shell ignores SIGINT for good where it began so, as whatever is started in the background does."""
    signals.signal(signals.SIGINT, signals.SIG_DFL)


def pip_works(venv: Path) -> bool:
    command = [str(venv / "bin" / "python"), "-m", "pip", "--version"]
    return venv.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python_without(module: str, folder: Path) -> Path:
    """A Python that lacks a module of the standard library."""
    (folder / "hidden").mkdir()
    (folder / "hidden" / f"{module}.py").write_text(f"raise ImportError({module!r})\n")
    return script(folder / "python", f'PYTHONPATH={folder / "hidden"} exec {sys.executable} "$@"')


def test_an_environment_without_pip_is_made_anew(venv: Path, lock: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    assert not pip_works(venv)
    done = install(venv, lock)
    assert done.returncode == 0, done.stderr
    assert pip_works(venv)


@pytest.mark.parametrize(("signal", "code"), [("KILL", -9), ("INT", 130)])
def test_an_installation_that_was_cut_short_begins_anew(signal: str, code: int, venv: Path, lock: Path) -> None:
    script(venv / "bin" / "python", f'case "$*" in *install*) kill -{signal} $PPID; exit 1;; esac')
    cut_short = install(venv, lock)
    assert cut_short.returncode == code
    told = "error: interrupted. Run make again: what is half made is made anew\n"
    assert cut_short.stderr == (told if signal == "INT" else "")
    done = install(venv, lock)
    assert done.returncode == 0, done.stderr
    assert pip_works(venv)


def test_an_installation_that_failed_keeps_the_environment(venv: Path, lock: Path) -> None:
    script(venv / "bin" / "python", 'case "$*" in *install*) exit 3;; esac')
    done = install(venv, lock)
    assert done.returncode == 1
    assert done.stderr == f"error: pip could not install {lock}; what it says stands above. Run make again to go on\n"
    assert [path.name for path in venv.iterdir()] == ["bin"]


def test_a_python_without_ensurepip_names_the_package(venv: Path, lock: Path, tmp_path: Path) -> None:
    done = install(venv, lock, python_without("ensurepip", tmp_path))
    assert done.returncode == 1
    assert "install python3-venv" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not venv.exists()


@pytest.mark.parametrize("ending", ["exit 1", "exec /nowhere/python"])
def test_an_old_or_missing_python_is_told(ending: str, venv: Path, lock: Path, tmp_path: Path) -> None:
    done = install(venv, lock, script(tmp_path / "python", ending))
    assert done.returncode == 1
    assert done.stderr.startswith("error: GridLedger needs Python 3.11 or later")
    assert done.stderr.count("\n") == 1


def planned(target: str, venv: Path) -> str:
    """What make would do, with ``venv`` as the environment."""
    command = ["make", "--dry-run", "--no-print-directory", f"VENV={venv}", target]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def test_make_up_installs_what_the_services_need_only(venv: Path) -> None:
    assert re.findall(r"requirements/(\w+)\.lock", planned("up", venv)) == ["services"]
    assert re.findall(r"requirements/(\w+)\.lock", planned("demo", venv)) == ["services", "feeder"]


def test_make_installs_again_where_the_environment_is_broken(venv: Path) -> None:
    script(venv / "bin" / "python", "exit 0")
    (venv / ".installed").touch()
    assert "install.sh" not in planned("up", venv)
    script(venv / "bin" / "python", "exit 1")
    assert "install.sh" in planned("up", venv)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_no_lock_replaces_what_another_installs(version: str) -> None:
    versions = {lock: _versions(lock, version) for lock in LOCKS}
    for found in versions.values():
        assert versions["services"].items() <= found.items()
        assert found.items() <= versions["dev"].items()


def _versions(lock: str, python: str) -> dict[str, str]:
    """The version of each package that a lock installs on Linux with a Python."""
    system = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    lines = PIN.findall((REPOSITORY / "requirements" / f"{lock}.lock").read_text())
    wanted = [Requirement(line) for line in lines]
    return {
        each.name: str(each.specifier) for each in wanted if each.marker is None or each.marker.evaluate(dict(system))
    }
