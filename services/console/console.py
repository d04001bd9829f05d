"""The parts of a running console, which its pages use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.console.grid.live import GridLive
from services.console.live.followers import Followers
from services.console.live.hub import Hub
from services.console.live.nodes import Nodes
from services.console.rendering import Renderer
from services.console.sessions import Sessions
from services.console.viewers import Viewers

REPORTS: Final = Path("out/bench")


@dataclass(frozen=True, slots=True)
class Options:
    """What the one who starts the console chooses. ``case`` is the grid's case file, for the one-line diagram;
    ``reports`` the folder of benchmark reports; ``desk`` the URL of the case desk."""

    case: Path | None = None
    reports: Path = REPORTS
    desk: str | None = None


@dataclass(frozen=True, slots=True)
class Console:
    """One console. ``clock_us`` gives microseconds since 1970."""

    viewers: Viewers
    sessions: Sessions
    hub: Hub
    followers: Followers
    nodes: Nodes
    grid: GridLive
    renderer: Renderer
    clock_us: Callable[[], int]
    options: Options = field(default_factory=Options)
