"""The package of evidence: made by the desk, verified by somebody who has nothing but it and the roots.

That somebody has an empty virtual environment with cryptography alone, and no network: the process is in a network
namespace of its own without any interface, where the system allows that.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import shutil
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

from gridledger.command_line import one_line
from gridledger.demonstration.steps import Steps
from gridledger.errors import UnavailableError
from gridledger.evidence.package import VERIFIER
from gridledger.evidence.report import Outcome
from gridledger.evidence.verification import verify_package
from services.case.demonstration.stage import PROJECT, Stage
from services.case.described import authority_identity
from services.case.replay.story import Truth
from services.case.report.dossier import Packed
from services.case.rows import Row
from services.case.rules.finding import of_kinds
from services.case.trusted import Trusted

FLIPPED: Final = 60
"""Bytes that are flipped, one at a time, at places drawn by the story's seed."""
_WITHIN_S: Final = 120.0
_NEEDED: Final = ("cryptography", "cffi", "_cffi_backend")
_NO_NETWORK: Final = ("unshare", "--map-root-user", "--net")


@dataclass(frozen=True, slots=True)
class Verified:
    """What a process said: its exit code and its last line; whether it had no network."""

    code: int
    last: str
    cut_off: bool


def evidence_of(rows: Sequence[Row], truth: Truth) -> list[str]:
    """The transactions to be proved: the foreign logins, and the openings of all breakers in the attack's sessions."""
    opened = [row.tx_id for row in of_kinds(rows, "session-opened") if row.session in truth.sessions]
    commands = [
        row.tx_id
        for row in of_kinds(rows, "command-issued")
        if row.session in truth.sessions and row.details.get("command") == "open"
    ]
    return list(dict.fromkeys((*opened, *commands)))


async def write_roots(stage: Stage, roots: Path) -> bool:
    """Have a member write what a verifier trusts, by the command that members use."""
    if roots.exists():  # noqa: ASYNC240 -- of an earlier run
        await asyncio.to_thread(shutil.rmtree, roots)
    await authority_identity(stage.profile)
    where = ["--dir", str(stage.folder.root), "--user", "Authority/forensics-authority"]
    command = [sys.executable, "-m", "services.case", "roots", "--out", str(roots), *where]
    code, told = await run(command, PROJECT)
    if code:
        raise UnavailableError(f"the roots could not be written: {one_line(told)}")
    return True


async def expect_proved(data: bytes, trusted: Trusted, wanted: Sequence[str], steps: Steps) -> Packed:
    """The package proves the wanted transactions."""
    work = partial(verify_package, data, roots=trusted.roots, general_genesis=trusted.genesis, roles=trusted.roles)
    report = await asyncio.to_thread(work)
    proved = {each.tx_id for each in report.transactions if each.anchored is not None}
    broken = report.broken
    steps.expect(
        f"the package proves all {len(wanted)} transactions of the attack, anchored on general",
        report.outcome is Outcome.PROVED and set(wanted) <= proved,
        f"{report.outcome}{'' if broken is None else f': {broken.name} {broken.file}: {broken.message}'}",
    )
    return Packed("case.zip", sha256(data).hexdigest(), len(data), report.to_dict())


async def expect_each_byte_counts(data: bytes, trusted: Trusted, seed: int, steps: Steps) -> None:
    """A flipped byte anywhere breaks the proof."""
    places = sorted(Random(f"{seed} flipped").sample(range(len(data)), min(FLIPPED, len(data))))  # noqa: S311

    def passing() -> list[int]:
        found = []
        for place in places:
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            if (
                verify_package(
                    changed, roots=trusted.roots, general_genesis=trusted.genesis, roles=trusted.roles
                ).exit_code
                == 0
            ):
                found.append(place)
        return found

    passed = await asyncio.to_thread(passing)
    steps.expect(f"a byte flipped at any of {len(places)} places is found", not passed, ", ".join(map(str, passed)))


async def verify_elsewhere(package: Path, roots: Path, folder: Path) -> Verified:
    """Run the verifier that is in the package in an empty environment without network. Paths are absolute."""
    python = await asyncio.to_thread(_empty_environment, folder)
    verifier = folder / VERIFIER
    await asyncio.to_thread(_take_out, package, verifier)
    cut_off = await _may_cut_off()
    command = [str(python), "-I", str(verifier), str(package), "--roots", str(roots)]
    code, told = await run([*_NO_NETWORK, *command] if cut_off else command, folder)
    return Verified(code, told.strip().splitlines()[-1] if told.strip() else "", cut_off)


async def run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """The exit code of a command, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin"},
    )
    try:
        async with asyncio.timeout(_WITHIN_S):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, told.decode(errors="replace")


async def _may_cut_off() -> bool:
    if shutil.which(_NO_NETWORK[0]) is None:
        return False
    code, _ = await run([*_NO_NETWORK, "true"], Path("/"))
    return code == 0


def _empty_environment(folder: Path) -> Path:
    """A virtual environment with cryptography and nothing else, made without a network from what is installed here."""
    venv.EnvBuilder(with_pip=False, clear=True, symlinks=True).create(folder)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in _NEEDED:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue  # newer ones do without cffi
        origin = Path(found.origin)
        if found.submodule_search_locations:
            shutil.copytree(origin.parent, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(origin, packages / origin.name)
    return folder / "bin" / Path(sys.executable).name


def _take_out(package: Path, verifier: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(package.read_bytes())) as opened:
        verifier.write_bytes(opened.read(VERIFIER))


def summary_of(packed: Packed, verified: Verified | None) -> dict[str, Any]:
    """For summary.json."""
    told = packed.verification or {}
    return {
        "file": packed.file,
        "sha256": packed.sha256,
        "bytes": packed.size,
        "outcome": told.get("outcome"),
        "transactions": len(told.get("transactions", ())),
        "disclosed": told.get("disclosed"),
        "elsewhere": None if verified is None else {"code": verified.code, "without_network": verified.cut_off},
    }
