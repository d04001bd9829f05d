"""The applications in containers: servers read a relay, holders keep a file's shares, a command is proved offline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.docker.engine import PROJECT, Compose, Failure, eventually, image_mb, run

Say = Callable[[str], None]
STORED = "network-config/substation-vault.yaml"
"""A file of the project that is in the image too."""


@contextmanager
def _network(compose: Compose, profile: str, say: Say) -> Iterator[tuple[float, list[str]]]:
    """A network with a profile's image built; how long it took to come up, and the profile's services."""
    compose("--profile", "*", "down", "--volumes", "--remove-orphans")
    try:
        compose("--profile", profile, "build")
        say(f"built gridledger/{profile}: {image_mb(f'gridledger/{profile}'):.0f} MB")
        nodes = set(compose("config", "--services").split())
        services = sorted(set(compose("--profile", profile, "config", "--services").split()) - nodes)
        yield compose.up(), services
    finally:
        compose("--profile", "*", "down", "--volumes", check=False)


def _published_here_only(compose: Compose, services: Sequence[str]) -> None:
    for name in services:
        published = compose.inspect(name)["HostConfig"]["PortBindings"].values()
        hosts = {item["HostIp"] for items in published for item in items}
        if hosts != {"127.0.0.1"}:
            raise Failure(f"{name} is published on {hosts}")


def relay(name: str, say: Say) -> None:
    """The profile relay: the simulated relay and four servers, and two minutes of it, confirmed."""
    compose = Compose(f"{name}-substation", base="compose.substation.yaml")
    with _network(compose, "relay", say) as (seconds, services):
        read = ["rele1", *(service for service in services if service.startswith("server"))]
        compose("--profile", "relay", "up", "--detach", "--wait", "--wait-timeout", "180", *read)
        place = ["/app/network-config/relays/rele1.yaml", "--address", "http://rele1:5010"]
        compose("run", "--rm", "-T", "cli", "relay", "register", *place)

        def confirmed() -> int:
            said = json.loads(compose("run", "--rm", "-T", "cli", "relay", "captures", "--json"))
            count = sum(item["status"] == "confirmed" for item in said["items"])
            return count if count > 1 else 0

        count = eventually("two minutes of the relay are confirmed", 300, confirmed)
        _published_here_only(compose, read)
        compose.level(readers=["Server5004/admin"])
        say(f"substation: up after {seconds:.1f} s, {len(read) - 1} servers read the relay, {count} minutes confirmed")


def vault(name: str, say: Say) -> None:
    """The profile vault: a file is stored, read without one container of holders, and refused without two."""
    compose = Compose(f"{name}-vault", base="compose.substation-vault.yaml")
    with _network(compose, "vault", say) as (seconds, services):
        compose("--profile", "vault", "up", "--detach", "--wait", "--wait-timeout", "180", *services)
        _vault(compose, "set-up")
        _vault(compose, "put", f"/app/{STORED}", "--cluster", "M3", "--name", "description")
        _published_here_only(compose, services)
        _read_back(compose)
        compose.kill("m3c")
        _read_back(compose)
        compose.kill("m3a")
        said = _refused(compose)
        for service in ("m3a", "m3c"):
            compose.start(service)
        _read_back(compose)
        say(f"vault: up after {seconds:.1f} s, {len(services)} containers of base and holders")
        say(f"five holders of nine give a file back, one does not ({said}), and with all it is there again")


def forensics(name: str, say: Say) -> None:
    """The profiles forensics and anchors: an operator's command is found by an investigator, and proved offline."""
    compose = Compose(f"{name}-forensics", base="compose.forensics.yaml")
    with _network(compose, "forensics", say) as (seconds, services):
        profiles = ["--profile", "forensics", "--profile", "anchors"]
        compose(*profiles, "up", "--detach", "--wait", "--wait-timeout", "180")
        # What is done already stays; a busy machine's peers may not answer at once.
        eventually(
            "forensics is set up", 180, lambda: compose.attempt("run", "--rm", "-T", "cli", "case", "set-up")[0] == 0
        )
        _cli(compose, "enroll", "Lviv", "ivan", "--attribute", "forensics.role=operator")
        session = {"session": "s-1", "operator": "ivan", "terminal": "t-1", "section": "section-home", "reason": "day"}
        command = {"session": "s-1", "device": "breaker-7", "command": "open"}
        for function, argument in (("OpenSession", session), ("Command", command)):
            _cli(compose, "invoke", "access", "access", function, "--user", "Lviv/ivan", json.dumps(argument))
        scope = ["--channel", "access", "--from", "2026-01-01T00:00Z", "--to", "2100-01-01T00:00Z"]
        _cli(compose, "case", "open", "2026-17", "--purpose", "breaker 7 opened", *scope)
        _cli(compose, "case", "approve", "2026-17")
        found = json.loads(_cli(compose, "case", "search", "2026-17", "--json"))["items"]
        _published_here_only(compose, services)
        say(f"forensics: up after {seconds:.1f} s, {len(services)} containers of light nodes and the desk")
        eventually("the command's block is anchored", 60, lambda: _is_anchored(compose, "access"))
        say(f"a case of {len(found)} rows, its command in a package: {_proved(compose)}")


def _is_anchored(compose: Compose, channel: str) -> bool:
    """Whether all of a channel's blocks are under an anchor; False too where that cannot be told now."""
    status = compose("run", "--rm", "-T", "cli", "anchor", "status", "--json", "--user", "Lviv/admin", check=False)
    if not status.startswith("{"):
        return False
    by_name = {item["channel"]: item for item in json.loads(status)["channels"]}
    return bool(by_name[channel]["size"] == by_name[channel]["height"])


def _proved(compose: Compose) -> str:
    """What verifying a package of the case's commands says, in a container without a network."""
    _cli(compose, "case", "roots", "--user", "Lviv/admin", "--out", "/network/roots")
    question = ["--title", "breaker 7", "--kind", "command-issued", "--disclose", "--out", "/network/case.zip"]
    _cli(compose, "case", "package", "2026-17", *question)
    volume = f"{compose.name}_clients:/network:ro"
    verify = ["gridledger", "case", "verify", "/network/case.zip", "--roots", "/network/roots", "--json"]
    said = json.loads(run(["docker", "run", "--rm", "--network", "none", "-v", volume, "gridledger/services", *verify]))
    if said["outcome"] != "proved" or not said["transactions"]:
        raise Failure(f"the package of the command is not proved: {said}")
    return f"{len(said['transactions'])} transactions proved in a container without a network"


def _cli(compose: Compose, *arguments: str) -> str:
    return compose("run", "--rm", "-T", "cli", *arguments)


def _vault(compose: Compose, *arguments: str) -> str:
    return compose("run", "--rm", "-T", "cli", "vault", *arguments)


def _read_back(compose: Compose) -> None:
    if _vault(compose, "get", "description", "-o", "-", "--purpose", "docker test") != (PROJECT / STORED).read_text():
        raise Failure("what vault get gave is not what was put")


def _refused(compose: Compose) -> str:
    """What is told of an object that too few holders serve."""
    get = ["vault", "get", "description", "-o", "-", "--purpose", "docker test"]
    code, said = compose.attempt("run", "--rm", "-T", "cli", *get)
    if code == 0 or "needs 5 of 9, 1 answered" not in said:
        raise Failure(f"vault get with one holder of M3 ended with {code}: {said}")
    return said.partition(";")[0].strip().removeprefix("error: ")
