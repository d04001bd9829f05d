"""Commands that start, stop and look at a network of local processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridledger.cli.options import DEFAULT_DIR, Config, Folder, Json, Profile, User, network_folder
from gridledger.cli.output import say, say_json
from gridledger.cli.project import project
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import InputError, SettingsError
from gridledger.extras import require_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridledger.network.schema import CompanionSpec, NetworkConfig
    from gridledger.network.supervisor import ProcessEnded, Supervisor

_DETACHED_READY_S = 120.0
_PANEL = "Network"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down, status):
        app.command(rich_help_panel=_PANEL)(command)


def up(
    config: Config = None,
    *,
    directory: Folder = DEFAULT_DIR,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the network is ready; stop it with 'down'.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Do not show what the processes write; it is in logs/.")
    ] = False,
    port_offset: Annotated[int, typer.Option("--port-offset", metavar="N", help="Add this to every port.")] = 0,
    companions: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME",
            help="Start this companion too, such as rest, or all of this application, such as relay. May be repeated.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Start a network of local processes.

    It runs in the foreground until Ctrl-C. A second start on the same folder goes on with the same ledgers, as the
    network now is: with what was added to it and without what was removed.

    \b
    Examples:
      gridledger up network-config/three-shards.yaml
      gridledger up
      gridledger up network-config/no-shard.yaml --dir out/other --port-offset 100 --detach
      gridledger up network-config/no-shard.yaml --with rest
      gridledger up network-config/substation.yaml --with relay
    """
    from gridledger.network.companions import chosen  # noqa: PLC0415
    from gridledger.network.descriptions import made_for, network_now  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415

    require_server("gridledger up")
    folder = network_folder(directory)
    if config is not None:
        description = load_network_config(config).with_port_offset(port_offset)
    elif port_offset:
        raise InputError("--port-offset goes with a description: a network's folder has the ports that it has")
    else:
        description = made_for(folder)
    beside = chosen(description, companions or ())
    if detach:
        started = time.monotonic()
        options = ["--port-offset", str(port_offset), *(f"--with={spec.name}" for spec in beside)]
        told = _start_detached(config, folder.root, options, description.name)
        if as_json:
            say_json(_ready(network_now(folder), folder.root, time.monotonic() - started))
        else:
            say(told)
        return 0
    return _run_in_foreground(description, directory, beside, quiet=quiet, as_json=as_json)


def down(*, directory: Folder = DEFAULT_DIR, as_json: Json = False) -> int:
    """Stop the network that runs in a folder.

    It is no error when none runs there.
    """
    from gridledger.network.lock import stop_detached  # noqa: PLC0415

    folder = network_folder(directory)
    stopped = stop_detached(folder)
    if as_json:
        say_json({"folder": str(folder.root), "stopped": stopped})
    else:
        say(f"the network in {directory} {'is stopped' if stopped else 'was not running'}")
    return 0


def status(*, directory: Profile = DEFAULT_DIR, user: User = None, as_json: Json = False) -> int:
    """Show nodes, channels, heights, commit hashes and leaders, as far as they are told to the user who asks.

    The exit code is 0 when all nodes answer and no peers differ, else 1.
    """
    import asyncio  # noqa: PLC0415
    import dataclasses  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415
    from gridledger.network.control import process_states  # noqa: PLC0415
    from gridledger.network.status import network_state, table  # noqa: PLC0415

    processes = process_states(network_folder(directory)) if directory.is_dir() else {}
    profile = load_profile(directory)
    identity = SigningIdentity.load(profile.user_folder(user))
    state = asyncio.run(network_state(profile, lambda _: identity, processes))
    if as_json:
        say_json(dataclasses.asdict(state))
    else:
        say(table(state))
    return 0 if state.sound else EXIT_FAILED


def _run_in_foreground(
    config: NetworkConfig, directory: Path, beside: Sequence[CompanionSpec], *, quiet: bool, as_json: bool
) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.network.console import ProcessConsole  # noqa: PLC0415
    from gridledger.network.supervisor import ProcessEnded, run_until_stopped  # noqa: PLC0415

    folder, checkout = network_folder(directory), project()
    console = ProcessConsole()

    def on_ready(supervisor: Supervisor) -> None:
        if as_json:
            say_json(_ready(supervisor.config, folder.root, supervisor.ready_s))
            return
        console.say(f"{config.name} is ready after {supervisor.ready_s:.1f} s: {_addresses(supervisor.config)}")
        for process in supervisor.processes:
            if process.service.is_companion:
                console.say(f"{process.service.name} is at {process.service.url}")
        console.say(f"folder {folder.root}; stop with Ctrl-C, or gridledger down --dir {directory}")

    def on_failure(failure: ProcessEnded) -> None:
        _tell(f"error: {failure.message}")

    sink = _ignore if quiet or as_json else console.line
    try:
        work = run_until_stopped(
            config,
            folder,
            project=checkout,
            sink=sink,
            on_ready=on_ready,
            on_failure=on_failure,
            tell=_tell,
            companions=beside,
        )
        asyncio.run(work)
    except ProcessEnded:
        return EXIT_FAILED  # told when it happened
    else:
        if not as_json:
            console.say(f"{config.name} is stopped")
        return 0
    finally:
        console.close()


def _tell(line: str) -> None:
    """Write a line to standard error; where nobody takes it (a full disk, a terminal that is gone), go on."""
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _ignore(name: str, line: str) -> None:
    """A sink for what is in the log files anyway."""


def _start_detached(config: Path | None, root: Path, options: list[str], name: str) -> str:
    """Start a supervisor in the background and wait until its network is ready; what it said then."""
    (root / "logs").mkdir(parents=True, exist_ok=True)
    log = root / "logs" / "supervisor.log"
    begin = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "gridledger.cli", "up", "--quiet"]
    if config is not None:
        command.append(str(config.resolve()))
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--dir", str(root), *options],
            cwd=project(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _wait_for_ready(child, log, begin, name)
    except BaseException:
        child.terminate()
        raise


def _wait_for_ready(child: subprocess.Popen[bytes], log: Path, begin: int, name: str) -> str:
    """Wait for the detached supervisor's word, which stands in ``log`` from ``begin`` on."""
    deadline = time.monotonic() + _DETACHED_READY_S
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        said = log.read_bytes()[begin:].decode("utf-8", "replace").splitlines()
        ready = [line for line in said if line.startswith(f"{name} is ready")]
        if ready and not ended:
            return ready[0]
        if ended:
            errors = [line for line in said if line.startswith("error:")]
            sys.stderr.write((errors[-1] if errors else f"error: the supervisor ended; see {log}") + "\n")
            raise typer.Exit(child.returncode or EXIT_FAILED)
        try:
            child.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise SettingsError(f"the network was not ready within {_DETACHED_READY_S:g} s; see {log}")


def _ready(config: NetworkConfig, root: Path, ready_s: float) -> dict[str, Any]:
    peers = {peer.name: f"https://{config.host}:{peer.port}" for peer in config.peers}
    return {"network": config.name, "folder": str(root), "ready_s": round(ready_s, 1), "peers": peers}


def _addresses(config: NetworkConfig) -> str:
    peers = ", ".join(f"{peer.name} https://{config.host}:{peer.port}" for peer in config.peers)
    return f"{len(config.channels)} channels, {len(config.orderers)} orderers, {peers}"
