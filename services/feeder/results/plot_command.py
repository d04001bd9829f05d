"""The command ``gridledger feeder plot``: a run's figures as PNG, SVG and PDF."""

from __future__ import annotations

from pathlib import Path

from gridledger.demonstration.console import Console
from gridledger.errors import InputError
from services.feeder.results.figures import FIGURES, draw_comparison
from services.feeder.results.run_folder import RunFolder
from services.feeder.results.style import journal_style, save


def compare(run: RunFolder, other: RunFolder, path: Path | str, *, column: str = "single") -> list[Path]:
    """Draw two runs beside each other as PATH.png, PATH.svg and PATH.pdf: voltage and index of the first weak bus."""
    path = Path(path)
    _make_folder(path.parent)
    with journal_style():
        return save(draw_comparison(run, other, column), path.parent, path.name)


def plot(folder: Path, *, out: Path | None, column: str, beside: Path | None, console: Console) -> int:
    """Draw the figures of the run in ``folder`` into ``out`` (FOLDER/figures); the exit code."""
    run = RunFolder.at(folder)
    other = RunFolder.at(beside) if beside is not None else None
    for one in (run, other):
        if one is not None and one.unfinished:
            console.say(f"{one.path}: {one.unfinished}")
    target = out or folder / "figures"
    _make_folder(target)
    with journal_style():
        files = [path for name, draw in FIGURES.items() for path in save(draw(run, column), target, name)]
    if other is not None:
        files += compare(run, other, target / "comparison", column=column)
    console.say(f"{run.title}: {len(files)} files in {target}")
    return 0


def _make_folder(folder: Path) -> None:
    """The folder, made where it is not there. Raises InputError where that cannot be, as where a file has its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file: move it away, or name another folder with --out") from None
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}: name another folder with --out") from None
