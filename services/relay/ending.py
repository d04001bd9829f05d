"""How a process of relay monitoring ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from gridledger.command_line import EXIT_FAILED


def run_and_end(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a process's ``main`` with its arguments, write what is still to be written, and end with its exit code.

    Where the package ``iec61850`` is loaded, its threads go on after its servers and clients are closed, and the
    interpreter's finalisation may not come to an end beside them: all of ours is closed by now, so it is left out.
    """
    try:
        code: Any = main(sys.argv[1:])
    except SystemExit as asked:  # argparse's, of --help and of wrong usage
        code = asked.code
    except BrokenPipeError:
        code = EXIT_FAILED
    _write_out()
    if "iec61850" in sys.modules and isinstance(code, int):
        logging.shutdown()
        os._exit(code)
    sys.exit(code)


def _write_out() -> None:
    """Write what stands in the buffers; what nobody reads any more is let go."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is buffered would be told as an error when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stderr.flush()
