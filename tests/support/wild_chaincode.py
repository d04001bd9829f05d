"""A chaincode that misbehaves in every way, and how tests call it through a pool."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.hosting.pool import HostPool
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result

Pools = Callable[..., AbstractAsyncContextManager[HostPool]]
"""Makes a started pool of the wild chaincode; keyword arguments are the pool's."""

CONTRACT = """
import ctypes, os, pathlib, signal, socket, subprocess, sys, threading

from gridledger.contract import Context, Contract, ContractError, transaction


class Wild(Contract):
    @transaction
    def add(self, ctx: Context, key, amount):
        total = ctx.stub.get_state(key) + amount
        ctx.stub.put_state(key, total)
        return total

    @transaction
    def refuse(self, ctx: Context):
        raise ContractError("not today")

    @transaction
    def fail(self, ctx: Context):
        raise ValueError("inside")

    @transaction
    def who(self, ctx: Context):
        me = ctx.client_identity
        return [me.get_id(), me.get_mspid(), me.get_attribute_value("grid.role"), ctx.stub.get_transient()]

    @transaction
    def hang(self, ctx: Context):
        while True:
            pass

    @transaction
    def stubborn(self, ctx: Context):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            try:
                threading.Event().wait()
            except BaseException:
                pass

    @transaction
    def nap(self, ctx: Context, seconds, who=False):
        threading.Event().wait(seconds)
        return os.getpid() if who else "rested"

    @transaction
    def die(self, ctx: Context):
        os._exit(3)

    @transaction
    def crash(self, ctx: Context):
        ctypes.string_at(0)

    @transaction
    def eat(self, ctx: Context):
        kept = []
        while True:
            kept.append(bytearray(16 * 1024 * 1024))

    @transaction
    def pid(self, ctx: Context):
        return os.getpid()

    @transaction
    def read(self, ctx: Context, path):
        return pathlib.Path(path).read_text(errors="replace")[:100]

    @transaction
    def write(self, ctx: Context, path):
        pathlib.Path(path).write_text("x")

    @transaction
    def connect(self, ctx: Context, port):
        socket.create_connection(("127.0.0.1", port), timeout=5)

    @transaction
    def datagram(self, ctx: Context):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

    @transaction
    def run(self, ctx: Context):
        subprocess.run(["/bin/true"], check=True)

    @transaction
    def fork(self, ctx: Context):
        if os.fork() == 0:
            os._exit(0)

    @transaction
    def kill(self, ctx: Context):
        os.kill(os.getppid(), 0)

    @transaction
    def environment(self, ctx: Context):
        return sorted(os.environ)

    @transaction
    def order(self, ctx: Context):
        return list({str(number) for number in range(50)})

    @transaction
    def shout(self, ctx: Context, lines):
        print("x\\n" * lines, flush=True)
        print("last on stderr", file=sys.stderr, flush=True)

    @transaction
    def forge(self, ctx: Context, text):
        reply = b"\\x01" + text.encode()
        for descriptor in range(3, 4096):
            try:
                os.write(descriptor, len(reply).to_bytes(4, "big") + reply)
            except OSError:
                pass
        return "own"

    @transaction
    def seen_twice(self, ctx: Context, seconds):
        values = [value for _, value in ctx.stub.get_state_by_range("k", "l")]
        threading.Event().wait(seconds)
        return [len(values), sorted({*values, *(value for _, value in ctx.stub.get_state_by_range("k", "l"))})]

    @transaction
    def big(self, ctx: Context, size):
        return "x" * size
"""

CALLER = ClientIdentity("x509::CN=a::CN=ca", "Org1MSP", "client", {"grid.role": "planner"})


def proposal(function: str, *args: Any, channel: str = "c1") -> Proposal:
    return Proposal.build(
        channel=channel,
        chaincode="test",
        sequence=1,
        function=function,
        args=args,
        creator="eA==",
        nonce="0" * 32,
        time_us=5,
    )


async def call(pool: HostPool, function: str, *args: Any, **options: Any) -> Result:
    text = await pool.call(proposal(function, *args, **options), CALLER)
    return Result.parse(text)


async def payload(pool: HostPool, function: str, *args: Any) -> Any:
    response = (await call(pool, function, *args)).response
    assert response.status == 200, response
    return response.payload
