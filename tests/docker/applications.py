"""The applications in containers: four servers read a relay, and holders keep shares of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.docker.engine import PROJECT, Compose, Failure, eventually, image_mb

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
