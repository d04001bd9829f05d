"""The locustfile, for Locust headless or from its page: ``locust --locustfile benchmarks/load/locustfile.py``.

Closed loop (without a controller or a rate): each user sends a transaction of its workload, waits for the verdict, and
sends the next. Open loop (``--rate`` or ``--controller``): the schedule decides when to send, and the number of users
has no effect. benchmarks/commands/prepare.py prepares the network; ``--bench`` names the file that it wrote.

Every Locust worker has an engine process (engine.py) that sends and waits. What ended comes back as counts every 100 ms
and is merged into Locust's statistics as a master merges those of its workers. So Locust's own cost does not grow with
the rate, and listeners to Locust's ``request`` event hear nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import User, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import StatsEntry, StatsError
from pydantic import ValidationError

from benchmarks.load.engine_process import EngineProcess
from benchmarks.load.plan import CLOSED_LOOP, ControllerSpec, Round, first_number
from benchmarks.load.rates import Share, build_controller
from gridledger.errors import GridLedgerError

READY_WITHIN_S = 60.0
BEGIN_IN_S = 0.5
BUSY_CORES = 0.9
_READY, _ROUND, _DONE = "engine-ready", "round", "round-done"
"""Messages: a worker's engine is ready; a worker's part of a round; a worker's part is over."""
_log = logging.getLogger(__name__)


class LedgerUser(User):
    """One user of a workload in a closed loop. Its engine sends for it as long as it is there."""

    abstract = True
    workload = ""

    def on_start(self) -> None:
        """Add a user in the engine."""
        _Worker.of(self.environment).change_users(self.workload, 1)

    def on_stop(self) -> None:
        """Remove a user in the engine."""
        _Worker.of(self.environment).change_users(self.workload, -1)

    @task
    def stay(self) -> None:
        """Wait until Locust ends this user."""
        Event().wait()


class Put(LedgerUser):
    """100 bytes under a key of their own: the ledger by itself."""

    workload = "put"


class ReadWrite(LedgerUser):
    """Reads and writes a number under one of 10,000 keys: some conflict."""

    workload = "read-write"


class Query(LedgerUser):
    """A group's record, evaluated on one peer."""

    workload = "query"


class ComputeVSI(LedgerUser):
    """A frame of the IEEE 30-bus grid, judged by the voltage-stability contract; no alarm."""

    workload = "ComputeVSI"


class LocalController(LedgerUser):
    """A frame that raises an alarm, answered by an injection in the same transaction."""

    workload = "LocalController"


def _add_options(parser: Any) -> None:
    add = parser.add_argument_group("GridLedger", "What is sent, and when").add_argument
    env = "GRIDLEDGER_BENCH"
    add("--bench", env_var=env, default="/network/bench.json", help="the file that the command prepare wrote")
    add("--rate", env_var=f"{env}_RATE", type=float, default=0.0, help="open loop: transactions per second")
    add("--controller", env_var=f"{env}_CONTROLLER", default="", help='open loop: {"type": ..., "opts": ...}')
    add("--workload", env_var=f"{env}_WORKLOAD", default="", help="open loop: what is sent (the chosen users')")
    add("--transactions", type=int, default=0, help="end after so many behind the warm-up (0: no such bound)")
    add("--duration", type=float, default=0.0, help="end after so many seconds behind the warm-up (0: no such bound)")
    add("--warmup", type=float, default=0.0, help="seconds of load that do not count for the bounds")
    add("--results", default="", help="folder for each engine's file of outcomes")


def _begin(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        _Master(environment, runner)
    else:
        _Worker(environment)


def round_of(environment: Environment, count: int) -> Round:
    """The round that the options ask for, of ``count`` engines. Raises ValueError where they are wrong."""
    options: Any = environment.parsed_options
    controller = None
    if options.controller:
        try:
            controller = ControllerSpec.model_validate_json(options.controller)
        except ValidationError as error:
            raise ValueError(f"--controller: {error}") from None
        if controller.type == CLOSED_LOOP:
            controller = None
    elif options.rate:
        controller = ControllerSpec(type="fixed-rate", opts={"tps": options.rate})
    if controller is not None:
        build_controller(controller, Share(0, count, options.duration or None, options.transactions or None))
    chosen = sorted({kind.workload for kind in environment.user_classes if issubclass(kind, LedgerUser)})
    return Round(
        workloads=[options.workload] if options.workload and controller else chosen,
        controller=controller,
        count=count,
        warmup_s=options.warmup,
        duration_s=options.duration or None,
        transactions=options.transactions or None,
        start_at=time.time() + BEGIN_IN_S,
        first=first_number(),
    )


def _part_of(environment: Environment, plan: Round, index: int) -> dict[str, Any]:
    """The round as JSON for engine ``index``."""
    folder = getattr(environment.parsed_options, "results", "")
    results = f"{folder}/engine-{index}" if folder else None
    return plan.model_copy(update={"index": index, "results": results}).model_dump()


def _give_up(environment: Environment, error: Exception) -> None:
    _log.error("cannot offer the load: %s", error)
    environment.process_exit_code = 1
    gevent.spawn(_end, environment)


def _end(environment: Environment) -> None:
    assert environment.runner is not None  # noqa: S101 - it called us
    if getattr(environment.parsed_options, "headless", False):
        environment.runner.quit()
    else:
        environment.runner.stop()


class _Master:
    """Sends the workers their parts of a round, which begin together, and ends the test when all are done."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self._environment, self._runner = environment, runner
        self._ready: set[str] = set()
        self._left: set[str] = set()
        runner.register_message(_READY, lambda msg, **_: self._ready.add(msg.node_id))
        runner.register_message(_DONE, self._done)
        _listen(environment.events.test_start, self._start)

    def _start(self, **_: Any) -> None:
        workers = sorted(self._runner.clients.ready, key=lambda client: str(client.id))
        ids = [client.id for client in workers]
        late = RuntimeError(f"an engine was not ready within {READY_WITHIN_S:g} s: see the workers' logs")
        try:
            with gevent.Timeout(READY_WITHIN_S, late):
                while not self._ready.issuperset(ids):
                    gevent.sleep(0.05)
            plan = round_of(self._environment, len(ids))
        except (ValueError, RuntimeError, GridLedgerError) as error:
            _give_up(self._environment, error)
            return
        self._left = set(ids)
        for index, client in enumerate(ids):
            self._runner.send_message(_ROUND, _part_of(self._environment, plan, index), client)

    def _done(self, msg: Any, **_: Any) -> None:
        self._left.discard(msg.node_id)
        if not self._left:
            gevent.spawn(_end, self._environment)


class _Worker:
    """A worker, or Locust without workers: its engine, its users, its statistics."""

    _of: ClassVar[dict[int, _Worker]] = {}

    def __init__(self, environment: Environment) -> None:
        self._environment, self._runner = environment, environment.runner
        self._of[id(environment)] = self
        self._users: dict[str, int] = {}
        self._began = (time.monotonic(), 0.0)
        options: Any = environment.parsed_options
        self._engine = EngineProcess(options.bench, self._report)
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message(_ROUND, lambda msg, **_: self._start(msg.data))
        else:
            _listen(environment.events.test_start, lambda **_: self._start_alone())
        _listen(environment.events.test_stop, lambda **_: self._engine.order(stop=True))
        _listen(environment.events.quitting, lambda **_: self._engine.close())

    @classmethod
    def of(cls, environment: Environment) -> _Worker:
        """The worker of an environment."""
        return cls._of[id(environment)]

    def change_users(self, workload: str, by: int) -> None:
        """Change the number of a workload's users."""
        self._users[workload] = self._users.get(workload, 0) + by
        self._engine.order(users={workload: self._users[workload]})

    def _start_alone(self) -> None:
        try:
            self._start(_part_of(self._environment, round_of(self._environment, 1), 0))
        except (ValueError, GridLedgerError) as error:
            _give_up(self._environment, error)

    def _start(self, plan: dict[str, Any]) -> None:
        self._users = {}
        self._began = (time.monotonic(), self._engine.cpu_s)
        self._engine.order(round=plan)

    def _report(self, report: dict[str, Any]) -> None:
        if "ready" in report and isinstance(self._runner, WorkerRunner):
            self._runner.send_message(_READY)
        for workload, ended in report.get("ended", {}).items():
            merge_into_statistics(self._environment, workload, ended)
        if "done" in report:
            self._log_cores()
            if error := report["done"].get("error"):
                _log.error("the engine gave up: %s", error)
                self._environment.process_exit_code = 1
            if isinstance(self._runner, WorkerRunner):
                self._runner.send_message(_DONE)
            else:
                gevent.spawn(_end, self._environment)

    def _log_cores(self) -> None:
        began, cpu_s = self._began
        cores = (self._engine.cpu_s - cpu_s) / max(0.001, time.monotonic() - began)
        level = logging.WARNING if cores > BUSY_CORES else logging.INFO
        _log.log(level, "the engine used %.2f of a core%s", cores, ": ADD WORKERS" if cores > BUSY_CORES else "")


def merge_into_statistics(environment: Environment, workload: str, ended: dict[str, Any]) -> None:
    """Add an engine's report to the statistics, as Locust's master adds those of its workers."""
    stats, now, method = environment.stats, time.time(), "send"
    number, failed = sum(ended["times"].values()), sum(ended["errors"].values())
    entry = StatsEntry(stats, workload, method)
    entry.num_requests, entry.num_failures = number, failed
    entry.total_response_time = ended["sum_ms"]
    entry.min_response_time, entry.max_response_time = ended["min_ms"], ended["max_ms"]
    entry.response_times.update({int(key): value for key, value in ended["times"].items()})
    entry.num_reqs_per_sec[int(now)] = number
    entry.num_fail_per_sec[int(now)] = failed
    entry.last_request_timestamp = now
    stats.entries[workload, method].extend(entry)
    stats.total.extend(entry)
    for code, times in ended["errors"].items():
        key = StatsError.create_key(method, workload, code)
        error = stats.errors.setdefault(key, StatsError(method, workload, code, first_seen=now))
        error.occurrences += times
        error.last_seen = now


def _listen(hook: Any, listener: Callable[..., None]) -> None:
    hook.add_listener(listener)


_listen(events.init_command_line_parser, _add_options)
_listen(events.init, _begin)
