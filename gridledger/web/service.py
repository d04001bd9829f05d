"""A service's process: command line, settings, log, event loop, exit code.

Every service has the same entries: ``services/NAME/__main__.py`` has ``main(argv)``, which calls :func:`run_service`,
and ``services/NAME/app.py`` has ``open_server(settings)``, which puts the service together.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from gridledger import logs
from gridledger.allocator import keep_read_buffers
from gridledger.command_line import EXIT_INTERRUPTED, tell_error
from gridledger.errors import GridLedgerError
from gridledger.files import disk_failure, no_space_left
from gridledger.settings import ServiceSettings, load_settings
from gridledger.web.descriptors import raise_limit
from gridledger.web.server import WebServer, serve

_log = logging.getLogger(__name__)

_Settings = TypeVar("_Settings", bound=ServiceSettings)


def run_service(
    service: str,
    kind: type[_Settings],
    open_server: Callable[[_Settings], AbstractAsyncContextManager[WebServer]],
    argv: Sequence[str],
) -> int:
    """Run a service as its command line says, until it is told to stop; the process's exit code.

    ``open_server`` opens the service's data and gives the server that is to listen; its block ends when the last
    request was answered.
    """
    file = settings_file(service, argv)
    try:
        settings = load_settings(kind, file)
    except GridLedgerError as error:
        return tell_error(error)
    logs.setup(service, settings.name, settings.log_level)
    keep_read_buffers()
    raise_limit()
    return _run(serve(settings.host, settings.port, open_server(settings)), settings.data)


def settings_file(service: str, argv: Sequence[str]) -> Path:
    """The settings file that a service's command line names."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}", description=f"Run GridLedger's {service}.")
    parser.add_argument("--config", type=Path, required=True, help="the settings file (JSON), see docs/settings.md")
    file: Path = parser.parse_args(argv).config
    return file


def _run(main: Coroutine[Any, Any, None], data: Path) -> int:
    """Run a process's main coroutine on uvloop; the exit code.

    An error of ours, and a full or failing disk, where ``data`` lies, are told in one line on standard error; anything
    else keeps its traceback, being a defect.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    except GridLedgerError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (OSError, BaseExceptionGroup) as error:
        told = disk_trouble(error, data)
        if told is None:
            raise
        return tell_error(told)
    return 0


def disk_trouble(error: BaseException, data: Path) -> GridLedgerError | None:
    """What is told where a process failed by a full or failing disk, on which ``data`` lies; None where it did not."""
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return disk_failure(error, Path(error.filename or data))
    return no_space_left(error, data)


@asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside a server for as long as the block lasts.

    When one fails the process is told to stop (SIGTERM), so that no half of a node goes on answering, and what it
    failed with is raised at the end of the block.
    """
    tasks = [asyncio.create_task(one) for one in work]
    for task in tasks:
        task.add_done_callback(_stop_on_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def _stop_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        is_defect = not isinstance(error, GridLedgerError | OSError)
        _log.error("%s", error, exc_info=error if is_defect else None)
        signal.raise_signal(signal.SIGTERM)
