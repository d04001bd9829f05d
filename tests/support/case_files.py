"""The case files of tests/data/cases."""

from __future__ import annotations

import gzip
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data" / "cases"


def case_file(name: str) -> str:
    """The path of a case's file."""
    plain = FOLDER / f"{name}.m"
    return str(plain if plain.exists() else FOLDER / f"{name}.m.gz")


def case_text(name: str) -> str:
    """The text of a case's file."""
    path = Path(case_file(name))
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def changed(text: str, place: tuple[str, int, int], value: str) -> str:
    """The text of a case with another value in one place: table, row and column, both from 1."""
    table, row, column = place
    begin = text.index(f"mpc.{table} = [") + len(f"mpc.{table} = [\n")
    lines = text[begin:].split("\n")
    values = lines[row - 1].rstrip(";").split()
    values[column - 1] = value
    lines[row - 1] = " ".join(values) + ";"
    return text[:begin] + "\n".join(lines)
