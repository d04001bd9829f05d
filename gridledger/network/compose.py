"""A network as containers: the compose file that follows from a network config.

The containers see the same folder as local processes do (``/network``, see docs/network.md), each only its own part of
it: a node its own volume, the CA service its own, clients the connection profile and the users' identities.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from gridledger.errors import SettingsError
from gridledger.network.schema import CompanionSpec, NetworkConfig, NodeSpec

NETWORK = PurePosixPath("/network")
BENCH_PORT = 8089
_BASE = "services"
"""The image of nodes, and of companions that need no extra."""
_OTHERS = ("prepare", "ca", "setup", "cli", "feeder", "bench-setup", "bench", "bench-worker")
_VOLUMES = ("clients", "enrolment", "results")
_HEALTHY = {"condition": "service_healthy"}
_Map = dict[Any, Any]
"""What YAML writes as a mapping; keys are texts, or the merge key."""

_COMPLETED = {"condition": "service_completed_successfully"}
_ONCE = {"restart": "no", "healthcheck": {"disable": True}}


class _Anchored(_Map):
    """A mapping that others merge: written once, with an anchor of this name."""

    def __init__(self, anchor: str, members: _Map) -> None:
        super().__init__(members)
        self.anchor = anchor


class _Line(list[str]):
    """A list that stands in one line."""


class _Merge:
    """YAML's merge key ``<<``, which a plain string would not be."""


_MERGE = _Merge()


def mount_points(config: NetworkConfig) -> list[PurePosixPath]:
    """Where volumes are mounted. The image has these folders, so that a new volume belongs to the image's user."""
    nodes = [_home(node.name) for node in (*config.orderers, *config.peers)]
    companions = [_companion_home(spec) for spec in config.companions]
    return [NETWORK, NETWORK / "ca", NETWORK / "enrolment", PurePosixPath("/results"), *nodes, *companions]


def compose_file(config: NetworkConfig, path: PurePosixPath | None) -> str:
    """The compose file of a network; ``path`` is where its config lies in the checkout. None: ``config`` is the network
    as it now is, in a folder that was made before."""
    document = _document(config, path)
    command = f"gridledger compose {path}" if path else "gridledger compose"
    return _text(document, command, "The network as containers; see docs/compose.md.")


def override_file(config: NetworkConfig, path: PurePosixPath, base: NetworkConfig, base_path: PurePosixPath) -> str:
    """What ``config`` changes in the compose file of ``base``, to be given behind it.

    Companions of ``base`` that ``config`` lacks are let be: nothing starts them unless their profile is named. Raises
    :class:`SettingsError` where the two differ in more than that, channels and applications.
    """
    names = {spec.name for spec in config.companions}
    shared = base.model_copy(
        update={"companions": type(base.companions)(s for s in base.companions if s.name in names)}
    )
    if _document(config.model_copy(update={"name": base.name}), path) != _document(shared, path):
        raise SettingsError(
            f"{path} has other nodes than {base_path}: an override can only change channels; write a file of its own"
        )
    services = {name: {"command": _bootstrap(path, name)} for name in ("prepare", "setup")}
    command = f"gridledger compose {path} --override {base_path}"
    document = {"name": _project(config), "services": services}
    return _text(document, command, f"To be given behind the compose file of {base_path}.")


def _document(config: NetworkConfig, path: PurePosixPath | None) -> _Map:
    nodes = (*config.orderers, *config.peers)
    names = [node.name for node in nodes] + [spec.name for spec in config.companions]
    if clashes := sorted(set(names) & {*_OTHERS, *_VOLUMES}):
        raise SettingsError(
            f"{path or config.name}: a node cannot be called {', '.join(clashes)} where it is to be a container"
        )
    common = _Anchored("common", _common())
    service = _Anchored("service", {_MERGE: common, **_long_running()})
    orderer = _Anchored("orderer", {_MERGE: service, **_limits("ORDERER", "1g", 256), "healthcheck": _checked(3)})
    peer = _Anchored("peer", {_MERGE: service, **_limits("PEER", "2g", 512), "healthcheck": _checked(5)})
    services: _Map = {
        "prepare": {
            _MERGE: common,
            **_ONCE,
            "build": _build("services"),
            "command": _bootstrap(path, "prepare"),
            "network_mode": "none",
            "volumes": [_at("clients", NETWORK), _at("ca"), _at("enrolment")],
        },
        "ca": {
            _MERGE: service,
            **_limits("CA", "512m", 128),
            "healthcheck": _checked(2),
            **_runs("services.ca", NETWORK / "ca"),
            "depends_on": {"prepare": _COMPLETED},
            "ports": [_port(config, config.ca.port)],
            "volumes": [_at("ca"), _at("enrolment")],
        },
        "setup": {
            _MERGE: common,
            **_ONCE,
            "command": _bootstrap(path, "setup"),
            "depends_on": {"ca": _HEALTHY},
            "volumes": [
                _at("clients", NETWORK),
                f"{_at('enrolment')}:ro",
                *(_at(node.name, _home(node.name)) for node in nodes),
                *(_at(spec.name, _companion_home(spec)) for spec in config.companions),
            ],
        },
        **{node.name: _node(config, node, orderer, "orderer", {"setup": _COMPLETED}) for node in config.orderers},
    }
    ready = {"setup": _COMPLETED, **{node.name: _HEALTHY for node in config.orderers}}
    services.update({node.name: _node(config, node, peer, "peer", ready) for node in config.peers})
    services.update({spec.name: _companion(config, spec, common, service) for spec in config.companions})
    services.update(_clients(config, common))
    used = {mount.partition(":")[0] for service in services.values() for mount in service["volumes"]}
    return {
        "name": _project(config),
        "x-common": common,
        "x-service": service,
        "x-orderer": orderer,
        "x-peer": peer,
        "services": services,
        "volumes": {name: {} for name in ("ca", *_VOLUMES, *names) if name in used},
    }


def _common() -> _Map:
    """What all containers have.

    The name of one that is down is asked of the world's name servers, and where there is no world (a network of its
    own) that takes ten seconds in which the library's resolver is blocked; so it gives up after one.
    """
    return {
        "image": _image(_BASE),
        "init": True,
        "read_only": True,
        "tmpfs": _Line(["/tmp:size=64m,mode=1777"]),  # noqa: S108 - the container's own
        "dns_opt": _Line(["timeout:1", "attempts:1"]),
        "cap_drop": _Line(["ALL"]),
        "security_opt": _Line(["no-new-privileges:true"]),
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }


def _image(target: str) -> str:
    """The image of a target of docker/Dockerfile."""
    return f"gridledger/{target}:${{GRIDLEDGER_TAG:-latest}}"


def _long_running() -> _Map:
    return {
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    }


def _limits(kind: str, memory: str, processes: int) -> _Map:
    """Memory and processes are bounded, processors only on demand: 0 means all, and more than there are is refused."""
    return {
        "mem_limit": f"${{GRIDLEDGER_{kind}_MEMORY:-{memory}}}",
        "cpus": f"${{GRIDLEDGER_{kind}_CPUS:-0}}",
        "pids_limit": processes,
    }


def _checked(interval_s: int) -> _Map:
    """How often the image's health check runs. The first run is one interval after the start."""
    return {"interval": f"{interval_s}s", "timeout": "5s", "retries": 5, "start_period": "60s"}


def _node(config: NetworkConfig, node: NodeSpec, kind: _Anchored, module: str, needs: Mapping[str, Any]) -> _Map:
    home = _home(node.name)
    return {
        _MERGE: kind,
        **_runs(f"services.{module}", home),
        "depends_on": dict(needs),
        "ports": [_port(config, node.port)],
        "volumes": [_at(node.name, home)],
    }


def _companion(config: NetworkConfig, spec: CompanionSpec, common: _Anchored, service: _Anchored) -> _Map:
    """A companion behind profiles: its own, its application's, and those of companions that need it."""
    home = _companion_home(spec)
    needs = dict.fromkeys((*(peer.name for peer in config.peers), *spec.needs), _HEALTHY)
    runs = {**_runs(spec.runs, home), "depends_on": needs, "volumes": [_at(spec.name, home)]}
    behind: _Map = {"profiles": _Line(_profiles(config, spec))}
    if spec.image != _BASE:
        behind["image"] = _image(spec.image)
        if next(other for other in config.companions if other.image == spec.image) is spec:
            behind["build"] = _build(spec.image)  # once: side by side, engines build an image twice
    if spec.port is None:
        return {_MERGE: common, **_ONCE, **behind, **runs}
    if not config.with_names_as_hosts().serves_tls(spec):
        runs["environment"]["HEALTH_SCHEME"] = "http"
    watched = {**_limits("COMPANION", "512m", 128), "healthcheck": _checked(5)}
    ports = [_port(config, port) for port in spec.all_ports]
    return {_MERGE: service, **behind, **watched, **runs, "ports": ports}


def _profiles(config: NetworkConfig, spec: CompanionSpec) -> list[str]:
    """The profiles with which a companion comes."""
    own = [spec.name] if spec.application is None else [spec.name, spec.application]
    others = [_profiles(config, other) for other in config.companions if spec.name in other.needs]
    return list(dict.fromkeys((*own, *(name for profiles in others for name in profiles))))


def _clients(config: NetworkConfig, common: _Anchored) -> _Map:
    """What is there on demand, each behind its profile."""
    ready = {node.name: _HEALTHY for node in config.peers}
    clients: _Map = {_MERGE: common, **_ONCE}
    users = _at("clients", NETWORK)
    feeder = {"image": "gridledger/feeder:${GRIDLEDGER_TAG:-latest}", **_limits("FEEDER", "2g", 256)}
    bench = {"image": "gridledger/bench:${GRIDLEDGER_TAG:-latest}", **_limits("BENCH", "1g", 256)}
    locust = ["locust", "--locustfile", "benchmarks/load/locustfile.py"]
    cli: _Map = {
        "cli": {
            **clients,
            **_commands_of(config),
            "profiles": _Line(["tools"]),
            "entrypoint": _Line(["gridledger"]),
            "command": _Line(["status"]),
            "volumes": [users],
        }
    }
    if "dvs" not in config.applications:
        return cli
    return {
        **cli,
        "feeder": {
            **clients,
            **feeder,
            "profiles": _Line(["feeder"]),
            "build": _build("feeder"),
            "entrypoint": _Line(["python", "-m", "services.feeder"]),
            "command": _Line(["demo", "--connect", str(NETWORK), "--out", "/results"]),
            "depends_on": ready,
            "volumes": [users, "results:/results"],
        },
        "bench-setup": {
            **clients,
            **feeder,
            "profiles": _Line(["bench"]),
            "build": _build("feeder"),
            "command": _Line(["python", "-m", "benchmarks.commands.prepare", "--connect", str(NETWORK)]),
            "depends_on": ready,
            "volumes": [users],
        },
        "bench": {
            **clients,
            **bench,
            "profiles": _Line(["bench"]),
            "build": _build("bench"),
            "command": _Line([*locust, "--master", "--class-picker", "--web-host", "0.0.0.0"]),  # noqa: S104 - inside a container
            "depends_on": {"bench-setup": _COMPLETED},
            "ports": [_port(config, BENCH_PORT)],
            "volumes": [f"{users}:ro"],
        },
        "bench-worker": {
            **clients,
            **bench,
            "profiles": _Line(["bench"]),
            "command": _Line([*locust, "--worker", "--master-host", "bench"]),
            "depends_on": {"bench": {"condition": "service_started"}},
            "deploy": {"replicas": "${GRIDLEDGER_BENCH_WORKERS:-2}"},
            "volumes": [f"{users}:ro"],
        },
    }


def _commands_of(config: NetworkConfig) -> _Map:
    """The image that has the commands of the network's application, where one needs more than nodes do."""
    images = {spec.image for spec in config.companions if spec.application} - {_BASE}
    if len(images) != 1:
        return {}
    (target,) = images
    return {"image": _image(target), "build": _build(target)}


def _runs(module: str, home: PurePosixPath) -> _Map:
    settings = str(home / "config.json")
    return {
        "command": _Line(["python", "-m", module, "--config", settings]),
        "environment": {"GRIDLEDGER_LOG_LEVEL": "${GRIDLEDGER_LOG_LEVEL:-info}", "HEALTH_SETTINGS": settings},
    }


def _bootstrap(path: PurePosixPath | None, step: str) -> _Line:
    command = ["gridledger", "bootstrap", *([str(path)] if path else []), "--names-as-hosts"]
    return _Line([*command, "--prepare"] if step == "prepare" else command)


def _build(target: str) -> _Map:
    arguments = {"BASE_IMAGE": "${BASE_IMAGE:-python:3.13-slim}"}
    return {"context": "..", "dockerfile": "docker/Dockerfile", "target": target, "args": arguments}


def _at(volume: str, place: PurePosixPath | None = None) -> str:
    return f"{volume}:{place or NETWORK / volume}"


def _home(name: str) -> PurePosixPath:
    return NETWORK / "nodes" / name


def _companion_home(spec: CompanionSpec) -> PurePosixPath:
    return NETWORK / "companions" / spec.name


def _port(config: NetworkConfig, port: int) -> str:
    return f"{config.host}:{port}:{port}"


def _project(config: NetworkConfig) -> str:
    return f"gridledger-{config.name}".lower().replace(".", "-")


def _text(document: Mapping[str, Any], command: str, about: str) -> str:
    body = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# {about}\n# Made by `{command}`;\n# change the network config, not this.\n{body}"


class _Dumper(yaml.SafeDumper):
    """Writes anchors where they are meant, and nowhere else."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.names: dict[yaml.Node, str] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return not isinstance(data, _Anchored)

    def generate_anchor(self, node: yaml.Node) -> str:
        return self.names[node]

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _anchored_node(dumper: _Dumper, data: _Anchored) -> yaml.Node:
    node = dumper.represent_dict(data)
    dumper.names[node] = data.anchor
    return node


def _merge_node(dumper: _Dumper, _: _Merge) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:merge", "<<")


_Dumper.add_representer(_Anchored, _anchored_node)


def _line_node(dumper: _Dumper, data: _Line) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(_Line, _line_node)
_Dumper.add_representer(_Merge, _merge_node)
