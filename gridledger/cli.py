"""The command ``gridledger``. Each subcommand imports what it needs when it runs, so that all of them start fast."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gridledger import __version__
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.errors import GridLedgerError, SettingsError

if TYPE_CHECKING:
    from gridledger.network.schema import NetworkConfig
    from gridledger.network.supervisor import Supervisor

DEFAULT_DIR = Path(os.environ.get("GRIDLEDGER_NETWORK_DIR", "out/network"))
_DETACHED_READY_S = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code. An error of ours is one line on standard error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # These two have arguments of their own, which are theirs to read.
    if arguments[:1] == ["simulate"]:
        from gridledger.contract.simulator.cli import main as simulate  # noqa: PLC0415

        return simulate(arguments[1:])
    if arguments[:1] == ["feeder"]:
        return _service("services.feeder", arguments[1:])
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except GridLedgerError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gridledger", description="A permissioned ledger for power grids.")
    parser.add_argument("--version", action="version", version=f"gridledger {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = _command(commands, "up", _up, "start a network of local processes")
    up.add_argument("config", type=Path, help="network-config/....yaml")
    up.add_argument("--detach", action="store_true", help="return when the network is ready; stop it with 'down'")
    up.add_argument("--quiet", action="store_true", help="do not show what the processes write; it is in logs/")
    up.add_argument("--port-offset", type=int, default=0, help="add this to every port")
    _command(commands, "down", _down, "stop the network that runs in --dir")
    status = _command(commands, "status", _status, "nodes, channels, heights, commit hashes, leaders")
    status.add_argument("--json", action="store_true", help="for programs")
    compose = _command(commands, "compose", _compose, "write the compose file of a network")
    compose.add_argument("config", type=Path, help="network-config/....yaml")
    compose.add_argument("--override", type=Path, metavar="CONFIG", help="only what differs from this one")
    bootstrap = _command(commands, "bootstrap", _bootstrap, "make identities through a running CA, genesis, settings")
    bootstrap.add_argument("config", type=Path, help="network-config/....yaml")
    bootstrap.add_argument("--prepare", action="store_true", help="only what the CA service needs for its first start")
    bootstrap.add_argument("--names-as-hosts", action="store_true", help="nodes are reached by name, as containers are")
    chaincode = commands.add_parser("chaincode", help="pack and deploy chaincode").add_subparsers(required=True)
    deploy = _command(chaincode, "deploy", _deploy, "put a chaincode on a channel of a running network")
    deploy.add_argument("folder", type=Path, help="the chaincode's folder")
    deploy.add_argument("--channel", required=True)
    deploy.add_argument("--name", help="its name on the channel (default: the folder's)")
    deploy.add_argument("--policy", help="endorsement policy, such as 'OutOf(2, all)' (default: a majority of peers)")
    deploy.add_argument("--label", dest="version", help="the version that people call it by")
    pack = _command(chaincode, "pack", _pack, "write a chaincode's package to a file")
    pack.add_argument("folder", type=Path)
    pack.add_argument("--output", type=Path, required=True)
    enroll = _command(commands, "enroll", _enroll, "register and enrol a client with the CA of a running network")
    enroll.add_argument("organisation")
    enroll.add_argument("user")
    enroll.add_argument("--role", default="client", choices=("client", "admin", "peer", "orderer"))
    enroll.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE")
    commands.add_parser("simulate", help="run one function of a chaincode on a state file, without a network")
    commands.add_parser("feeder", help="drive the network with the power-flow feeder")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--dir", type=Path, default=DEFAULT_DIR, help="the network's folder (default: %(default)s)")
    command.set_defaults(run=run)
    return command


def _up(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.network.console import ProcessConsole  # noqa: PLC0415
    from gridledger.network.folder import NetworkFolder  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415
    from gridledger.network.supervisor import ProcessEnded, run_until_stopped  # noqa: PLC0415

    config = load_network_config(options.config).with_port_offset(options.port_offset)
    folder = NetworkFolder(options.dir.resolve())
    if options.detach:
        return _detach(options, config, folder.root)
    project, console = _project(), ProcessConsole()

    def on_ready(supervisor: Supervisor) -> None:
        console.say(f"{config.name} is ready after {supervisor.ready_s:.1f} s: {_addresses(config)}")
        console.say(f"folder {folder.root}; stop with Ctrl-C, or gridledger down --dir {options.dir}")

    def on_failure(failure: ProcessEnded) -> None:
        print(f"error: {failure.message}", file=sys.stderr, flush=True)

    sink = _ignore if options.quiet else console.line
    try:
        work = run_until_stopped(config, folder, project=project, sink=sink, on_ready=on_ready, on_failure=on_failure)
        asyncio.run(work)
    except ProcessEnded:
        return EXIT_FAILED  # told when it happened
    else:
        console.say(f"{config.name} is stopped")
        return 0
    finally:
        console.close()


def _ignore(name: str, line: str) -> None:
    """A sink for what is in the log files anyway."""


def _detach(options: argparse.Namespace, config: NetworkConfig, root: Path) -> int:
    (root / "logs").mkdir(parents=True, exist_ok=True)
    log = root / "logs" / "supervisor.log"
    begin = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "gridledger.cli", "up", "--quiet", str(options.config.resolve())]
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--dir", str(root), "--port-offset", str(options.port_offset)],
            cwd=_project(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _wait_for_ready(child, log, begin, config.name)
    except BaseException:
        child.terminate()
        raise


def _wait_for_ready(child: subprocess.Popen[bytes], log: Path, begin: int, name: str) -> int:
    """Wait for the detached supervisor's word; the exit code. What it says stands in ``log`` from ``begin`` on."""
    deadline = time.monotonic() + _DETACHED_READY_S
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        said = log.read_bytes()[begin:].decode("utf-8", "replace").splitlines()
        ready = [line for line in said if line.startswith(f"{name} is ready")]
        if ready and not ended:
            print(ready[0])
            return 0
        if ended:
            errors = [line for line in said if line.startswith("error:")]
            print(errors[-1] if errors else f"error: the supervisor ended; see {log}", file=sys.stderr)
            return child.returncode or 1
        try:
            child.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise SettingsError(f"the network was not ready within {_DETACHED_READY_S:g} s; see {log}")


def _down(options: argparse.Namespace) -> int:
    from gridledger.network.folder import NetworkFolder  # noqa: PLC0415
    from gridledger.network.supervisor import stop_detached  # noqa: PLC0415

    stopped = stop_detached(NetworkFolder(options.dir.resolve()))
    print(f"the network in {options.dir} {'is stopped' if stopped else 'was not running'}")
    return 0


def _status(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415
    import json  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.status import network_state, table  # noqa: PLC0415

    state = asyncio.run(network_state(load_profile(options.dir)))
    print(json.dumps(dataclasses.asdict(state)) if options.json else table(state))
    return 0 if state.sound else 1


def _compose(options: argparse.Namespace) -> int:
    from gridledger.network.compose import compose_file, override_file  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415

    config, path = load_network_config(options.config), PurePosixPath(options.config)
    if options.override is None:
        sys.stdout.write(compose_file(config, path))
    else:
        base = load_network_config(options.override)
        sys.stdout.write(override_file(config, path, base, PurePosixPath(options.override)))
    return 0


def _bootstrap(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.network.bootstrap import bootstrap, check_complete, prepare  # noqa: PLC0415
    from gridledger.network.folder import NetworkFolder  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415

    config, folder = load_network_config(options.config), NetworkFolder(options.dir.resolve())
    if options.names_as_hosts:
        config = config.with_names_as_hosts()
    # The CA service may run already, also when an earlier attempt failed half-way: keep what it works on.
    if not prepare(config, folder, anew=False):
        check_complete(config, folder, ca=options.prepare)
        print(f"the network in {options.dir} is complete")
    elif options.prepare:
        print(f"the CA service can be started: python -m services.ca --config {folder.ca / 'config.json'}")
    else:
        asyncio.run(bootstrap(config, folder, _project()))
        print(f"made {config.name} in {options.dir}")
    return 0


def _deploy(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.deploy import deploy_chaincode  # noqa: PLC0415

    definition = asyncio.run(
        deploy_chaincode(
            load_profile(options.dir),
            options.folder,
            options.channel,
            name=options.name,
            policy=options.policy,
            version=options.version,
        )
    )
    print(
        f"{definition.name} is on {options.channel}: sequence {definition.sequence}, policy {definition.policy}, "
        f"package {definition.package[:12]}"
    )
    return 0


def _pack(options: argparse.Namespace) -> int:
    from gridledger.contract import packaging  # noqa: PLC0415

    package = packaging.pack(options.folder)
    options.output.write_bytes(package)
    print(packaging.package_id(package))
    return 0


def _enroll(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.users import enroll_user  # noqa: PLC0415

    attributes = {}
    for text in options.attribute:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--attribute takes NAME=VALUE, not {text!r}")
        attributes[name] = value
    profile = load_profile(options.dir)
    asyncio.run(enroll_user(profile, options.organisation, options.user, options.role, attributes))
    print(profile.user(options.organisation, options.user))
    return 0


def _service(module: str, arguments: list[str]) -> int:
    """Start a service from the checkout that we stand in."""
    try:
        path = os.pathsep.join(filter(None, (str(_project()), os.environ.get("PYTHONPATH"))))
    except SettingsError as error:
        return tell_error(error)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.call([sys.executable, "-m", module, *arguments], env=environment)  # noqa: S603 - our own module


def _project() -> Path:
    """The checkout whose services are started: where we stand, or where the library lies."""
    for folder in (Path.cwd(), Path(__file__).resolve().parents[1]):
        if (folder / "services" / "peer").is_dir():
            return folder
    raise SettingsError("the services run from a checkout of GridLedger; change into one")


def _addresses(config: NetworkConfig) -> str:
    peers = ", ".join(f"{peer.name} https://{config.host}:{peer.port}" for peer in config.peers)
    return f"{len(config.channels)} channels, {len(config.orderers)} orderers, {peers}"


if __name__ == "__main__":
    sys.exit(main())
