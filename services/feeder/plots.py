from __future__ import annotations

from pathlib import Path

from services.feeder.session import Run


def draw_all(out: Path, runs: list[Run]) -> list[Path]:
    return []
