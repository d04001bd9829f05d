"""For the entries of processes, imported before all else: no garbage is looked for while modules are imported.

Hundreds of modules make some 100,000 objects that stay. The collector would look through them again and again, which
is a fifth of the processor time of a node's start.
"""

from __future__ import annotations

import gc
import sys


def pause() -> None:
    """Look for no garbage until :func:`imports_are_done`."""
    gc.disable()


def imports_are_done() -> None:
    """Look for garbage again."""
    gc.enable()


def _is_own_process() -> bool:
    """Whether Python was started with ``-m services...``; for another program it is not ours to decide."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name.startswith("services.")


if _is_own_process():
    pause()
