"""``make console-pictures``: the pictures of docs/console.md and README, from the newest ``make test-browser``.

Each is the upper part of a page as the tests saw it, with few colours, so that the repository stays small.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.support.processes import REPOSITORY

SHOTS = REPOSITORY / "out" / "browser"
IMAGES = REPOSITORY / "docs" / "images"
HEIGHT = 950
COLOURS = 96
NARROW_AND_DARK = ("grid", "network")
"""Pages that are shown at 400 pixels in the dark too."""


def main() -> int:
    """Write all pictures; the exit code."""
    found = sorted(SHOTS.glob("*-1400-light.png"))
    if not found:
        sys.stderr.write("there are no pictures: run make test-browser first\n")
        return 1
    for shot in found:
        name = shot.name.removesuffix("-1400-light.png")
        save(shot, IMAGES / f"console-{name}.png")
        if name in NARROW_AND_DARK:
            save(SHOTS / f"{name}-400-dark.png", IMAGES / f"console-{name}-narrow.png")
    print(f"{len(found)} pages in {IMAGES}")
    return 0


def save(shot: Path, to: Path) -> None:
    """The upper part of a picture, in ``COLOURS`` colours."""
    with Image.open(shot) as whole:
        part = whole.convert("RGB").crop((0, 0, whole.width, min(whole.height, HEIGHT)))
        part.quantize(COLOURS, dither=Image.Dither.NONE).save(to, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
