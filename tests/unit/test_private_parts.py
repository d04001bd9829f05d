"""The private parts of other libraries that ours stands on are where they were.

Each of these libraries has an upper bound in pyproject.toml. The bound is raised when this passes with the new version;
where it does not, the module that the message names must be adapted first.
"""

from __future__ import annotations

import asyncio
import tomllib
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from operator import attrgetter

import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.support.processes import REPOSITORY

USERS = {
    "uvicorn": "gridledger/web/http_connection.py and gridledger/web/server.py",
    "pandapower": "gridledger/grid/newton.py and gridledger/grid/case_files/pandapower_net.py",
    "pyyaml": "gridledger/network/compose.py and gridledger/network/schema/file.py",
}
HTTPTOOLS = "uvicorn.protocols.http.httptools_impl"
FUNCTIONS = [
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.__init__", ["self", "config", "server_state", "app_state", "_loop"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.connection_made", ["self", "transport"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.connection_lost", ["self", "exc"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.data_received", ["self", "data"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.send_400_response", ["self", "msg"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.on_message_begin", ["self"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.on_headers_complete", ["self"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.on_message_complete", ["self"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.on_response_complete", ["self"]),
    ("uvicorn", HTTPTOOLS, "HttpToolsProtocol.shutdown", ["self"]),
    ("uvicorn", "uvicorn", "Server.capture_signals", ["self"]),
    ("uvicorn", "uvicorn", "Server.startup", ["self", "sockets"]),
    ("uvicorn", "uvicorn", "Server.serve", ["self", "sockets"]),
    ("uvicorn", "uvicorn", "Server.main_loop", ["self"]),
    ("uvicorn", "uvicorn", "Server.on_tick", ["self", "counter"]),
    ("pandapower", "pandapower.pd2ppc", "_pd2ppc", ["net", "sequence", "kwargs"]),
    ("pandapower", "pandapower.pf.run_newton_raphson_pf", "_run_newton_raphson_pf", ["ppci", "options"]),
    ("pyyaml", "yaml", "SafeDumper.ignore_aliases", ["self", "data"]),
    ("pyyaml", "yaml", "SafeDumper.generate_anchor", ["self", "node"]),
    ("pyyaml", "yaml", "SafeDumper.increase_indent", ["self", "flow", "indentless"]),
    ("pyyaml", "yaml", "SafeLoader.construct_mapping", ["self", "node", "deep"]),
]


def moved(library: str, what: str) -> str:
    return f"{library} {version(library)} has changed {what}: adapt {USERS[library]}, then raise its bound"


@pytest.mark.parametrize(("library", "module", "name", "parameters"), FUNCTIONS, ids=lambda value: str(value)[-40:])
def test_a_function_is_where_it_was(library, module, name, parameters):
    try:
        found = list(signature(attrgetter(name)(import_module(module))).parameters)
    except (ImportError, AttributeError):
        pytest.fail(moved(library, f"{module}.{name}, which is gone"))
    assert found == parameters, moved(library, f"{module}.{name}")


async def test_uvicorn_keeps_what_a_connection_holds():
    config = uvicorn.Config(_answer, ws="none", lifespan="off", log_config=None)
    connection = HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    for name in ("config", "connections", "loop", "parser", "scope", "transport"):
        assert name in vars(connection), moved("uvicorn", f"HttpToolsProtocol.{name}")
    assert "ssl" in vars(config), moved("uvicorn", "Config.ssl")
    for name in ("server_state", "started"):
        assert name in vars(uvicorn.Server(config)), moved("uvicorn", f"Server.{name}")
    for name in ("should_exit", "force_exit"):
        assert vars(uvicorn.Server(config)).get(name) is False, moved("uvicorn", f"Server.{name}")


async def test_uvicorn_makes_the_scope_when_a_request_begins():
    config = uvicorn.Config(_answer, ws="none", lifespan="off", log_config=None)
    connection = HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    connection.on_message_begin()
    assert connection.scope["type"] == "http", moved("uvicorn", "what on_message_begin does")
    assert "extensions" not in connection.scope, moved("uvicorn", "scope['extensions'], which is ours")


def test_pandapower_keeps_its_options_at_the_net():
    pandapower = import_module("pandapower")
    net = pandapower.create_empty_network(sn_mva=1.0)
    pandapower.create_ext_grid(net, pandapower.create_bus(net, vn_kv=110.0))
    pandapower.runpp(net, init="flat", numba=False, lightsim2grid=False)
    assert "tolerance_mva" in net._options, moved("pandapower", "net._options")


@pytest.mark.parametrize("library", USERS)
def test_a_library_of_private_parts_has_an_upper_bound(library):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["server"], *extras["feeder"]]
    bounds = {found.name: found.specifier for found in map(Requirement, texts)}
    assert any(bound.operator == "<" for bound in bounds[library]), f"{library} needs an upper bound in pyproject.toml"


async def _answer(scope, receive, send):
    """An application that is never called."""
