"""What a chaincode tries from inside a host to reach, stop or outgrow what is not its own.

``python -m tests.support.escapes FOLDER`` tries each, as the user that it runs as, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import threading
from pathlib import Path
from typing import Any, Final

import uvloop

from gridledger import jsontext
from gridledger.contract.hosting.pool import HostPool
from gridledger.contract.hosting.system_calls import CONDITIONAL, FORBIDDEN
from gridledger.ledger import Head
from gridledger.ledger.codec import HEAD, Table, cut_key, pack_state, whole_key
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.ledger.store import CommitBatch
from gridledger.protocol.result import Version
from tests.support.wild_chaincode import payload

MIB: Final = 1 << 20
MEMORY_BYTES: Final = 256 * MIB
AT: Final = -100

CONTRACT = '''
import ctypes, errno, mmap, os, pathlib, resource, stat, threading

from gridledger.contract import Context, Contract, transaction

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.restype = ctypes.c_void_p
kept = []


def said(error):
    return errno.errorcode.get(error, str(error))


class Escapes(Contract):
    @transaction
    def raw(self, ctx: Context, number, args):
        """A system call by its number: texts are passed as C strings, null as a page of zeros."""
        page = ctypes.create_string_buffer(4096)
        given = [
            each.encode() if isinstance(each, str) else page if each is None else ctypes.c_long(each) for each in args
        ]
        ctypes.set_errno(0)
        return "done" if libc.syscall(ctypes.c_long(number), *given) >= 0 else said(ctypes.get_errno())

    @transaction
    def opened(self, ctx: Context, path, flags):
        try:
            os.close(os.open(path, flags))
        except OSError as failure:
            return said(failure.errno)
        return "done"

    @transaction
    def mapped(self, ctx: Context, mib, prot, flags):
        """Map memory, and touch each page of it that can be touched."""
        size = mib << 20
        place = libc.mmap(None, size, prot, flags, -1, 0)
        if place == ctypes.c_void_p(-1).value:
            return said(ctypes.get_errno())
        if prot & 2:
            for page in range(0, size, 4096):
                ctypes.memset(place + page, 1, 1)
        return "done"

    @transaction
    def grown(self, ctx: Context, mib):
        """Map a little and have it grown by mremap."""
        place = libc.mmap(None, 1 << 20, 3, 0x22, -1, 0)
        place = libc.mremap(ctypes.c_void_p(place), ctypes.c_size_t(1 << 20), ctypes.c_size_t(mib << 20), 1)
        return "done" if place != ctypes.c_void_p(-1).value else said(ctypes.get_errno())

    @transaction
    def addresses(self, ctx: Context):
        """TiB of addresses that can be mapped for reading: each TiB can cost 2 GiB of page tables."""
        count = 0
        while count < 100 and libc.mmap(None, 1 << 40, 1, 0x4022, -1, 0) != ctypes.c_void_p(-1).value:
            count += 1
        return count

    @transaction
    def thread(self, ctx: Context):
        try:
            threading.Thread(target=print).start()
        except RuntimeError as failure:
            return str(failure)
        return "done"

    @transaction
    def descriptors(self, ctx: Context):
        """What each open descriptor is, whether it can be written, and what changing its size or mode says."""
        found = []
        for descriptor in range(256):
            try:
                kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
            except OSError:
                continue
            flags = int(libc.fcntl(descriptor, 3))
            tries = {}
            for name, change in (
                ("ftruncate", lambda: os.ftruncate(descriptor, 0)),
                ("fchmod", lambda: os.fchmod(descriptor, 0o777)),
                ("pwrite", lambda: os.pwrite(descriptor, bytes(8192), 4096)),
                ("write", lambda: stat.S_ISREG(kind) and os.write(descriptor, bytes(8192))),
                ("lock", lambda: os.lockf(descriptor, os.F_TLOCK, 1)),
            ):
                try:
                    change()
                    tries[name] = "done"
                except OSError as failure:
                    tries[name] = said(failure.errno)
            found.append({"kind": kind, "writable": bool(flags & 3), **tries})
        return found

    @transaction
    def limits(self, ctx: Context):
        return [
            list(resource.getrlimit(each))
            for each in (resource.RLIMIT_DATA, resource.RLIMIT_STACK, resource.RLIMIT_FSIZE, resource.RLIMIT_MEMLOCK)
        ]

    @transaction
    def who(self, ctx: Context):
        return os.geteuid()

    @transaction
    def abort(self, ctx: Context):
        os.abort()
'''


class House:
    """A peer's folders: a key, a ledger that is written to, and a pool whose chaincode tries to escape."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "key.pem"
        self.key.write_text("secret")
        self.key.chmod(0o600)
        self.ledgers = folder / "ledgers"
        self.ledger = self.ledgers / "c1"
        self.ledger.mkdir(parents=True)
        self.package = folder / "package"
        self.package.mkdir()
        (self.package / "contract.py").write_text(CONTRACT)
        self.store = LmdbStore(self.ledger, map_bytes=64 * MIB)
        self.height = 0
        self.commit()

    def commit(self) -> None:
        with self.store.reader() as reader:
            batch = CommitBatch(head_before=reader.get(Table.META, HEAD))
        self.height += 1
        batch.put(Table.META, HEAD, Head(self.height, 1, "0" * 64, "0" * 64, 0, self.height).to_bytes())
        whole = whole_key("test", "a")
        batch.put(Table.STATE, cut_key(whole), pack_state(whole, Version(0, 0), jsontext.dumps(self.height)))
        self.store.commit(batch)

    def commits_in_time(self) -> bool:
        """Whether a commit still ends. LMDB's mutex has no time-out, so a thread of its own waits for it."""
        worker = threading.Thread(target=self.commit, daemon=True)
        worker.start()
        worker.join(10)
        return not worker.is_alive()

    def traces(self) -> list[Any]:
        """What must not have changed: of the key, the ledger's files, this process."""
        files = [path.stat() for path in (self.key, self.ledger / "lock.mdb", self.ledger)]
        return [
            [[each.st_mode, each.st_uid, each.st_gid] for each in files],
            self.key.stat().st_mtime_ns,
            os.listxattr(self.key),
            [list(resource.getrlimit(each)) for each in range(10)],
            os.getpriority(os.PRIO_PROCESS, 0),
            os.sched_getscheduler(0),
            sorted(os.sched_getaffinity(0)),
        ]


def attempts(house: House) -> dict[str, tuple[str, list[Any]]]:
    """System calls that would do harm, each with arguments that make it do so."""
    key, ledger, lock, peer = str(house.key), str(house.ledger), str(house.ledger / "lock.mdb"), os.getpid()
    return {
        "chmod of the key": ("fchmodat", [AT, key, 0o777]),
        "chmod of the key, old": ("chmod", [key, 0o777]),
        "chmod of the key, new": ("fchmodat2", [AT, key, 0o777, 0]),
        "chmod of the ledger": ("fchmodat", [AT, ledger, 0]),
        "chown of the key": ("fchownat", [AT, key, 65534, 65534, 0]),
        "times of the key": ("utimensat", [AT, key, None, 0]),
        "attribute of the key": ("setxattr", [key, "user.x", "y", 1, 0]),
        "removal of the key": ("unlinkat", [AT, key, 0]),
        "cutting the lock file": ("truncate", [lock, 0]),
        "limits of the peer": ("prlimit64", [peer, 7, None, 0]),
        "limits of the peer, read": ("prlimit64", [peer, 7, 0, None]),
        "its own limits": ("prlimit64", [0, 2, None, 0]),
        "its own limits, old": ("setrlimit", [2, None]),
        "a signal to the peer": ("kill", [peer, 9]),
        "a signal to all": ("kill", [-1, 9]),
        "a signal to the peer's thread": ("tgkill", [peer, peer, 9]),
        "a queued signal": ("rt_sigqueueinfo", [peer, 9, None]),
        "a signal by descriptor": ("pidfd_open", [peer, 0]),
        "scheduler of the peer": ("sched_setscheduler", [peer, 5, None]),
        "processors of the peer": ("sched_setaffinity", [peer, 8, "\\x01"]),
        "priority of the peer": ("setpriority", [0, peer, 19]),
        "disk priority of the peer": ("ioprio_set", [1, peer, 3 << 13]),
        "memory of the peer": ("process_vm_readv", [peer, None, 1, None, 1, 0]),
        "tracing the peer": ("ptrace", [16, peer, 0, 0]),
        "System V memory": ("shmget", [0, 1 << 30, 0o1600]),
        "System V queue": ("msgget", [0, 0o1600]),
        "System V semaphore": ("semget", [0, 1, 0o1600]),
        "POSIX queue": ("mq_open", ["q", 0o102, 0o600, 0]),
        "memory file": ("memfd_create", ["m", 0]),
        "a new process": ("clone", [17, 0, 0, 0, 0]),
        "a new process, old": ("fork", []),
        "a program": ("execve", ["/bin/true", 0, 0]),
        "a key of the kernel": ("add_key", ["user", "k", "v", 1, -3]),
        "poisoned memory": ("madvise", [0, 4096, 100]),
        "a lock on the socket": ("fcntl", [3, 6, None]),
        "a lease": ("fcntl", [3, 1024, 0]),
        "signals of a descriptor": ("fcntl", [3, 8, peer]),
        "a terminal's input": ("ioctl", [0, 0x5412, None]),
        "dying without the peer": ("prctl", [1, 0, 0, 0, 0]),
        "flushing all disks": ("sync", []),
    }


def raw(name: str, args: list[Any]) -> tuple[int, list[Any]] | None:
    number = getattr((FORBIDDEN | CONDITIONAL)[name], platform.machine())
    return None if number is None else (number, args)


async def outcomes(folder: Path) -> dict[str, Any]:
    """Try everything; what came of each."""
    house = House(folder)
    before = house.traces()
    found: dict[str, Any] = {"euid": os.geteuid()}
    async with HostPool(house.package, house.ledgers, size=1, memory_bytes=MEMORY_BYTES, call_timeout_s=30.0) as pool:
        found["host's euid"] = await payload(pool, "who")
        found["refused"] = {
            label: await payload(pool, "raw", *call)
            for label, (name, args) in attempts(house).items()
            if (call := raw(name, args)) is not None
        }
        found["by name"] = {
            name: await payload(pool, "raw", *call)
            for name in FORBIDDEN
            if (call := raw(name, [0, 0, 0, 0, 0, 0])) is not None
        }
        # clone3, openat2, epoll_create1 (two architectures), and what no kernel has yet
        found["unknown"] = [await payload(pool, "raw", number, [0, 0, 0, 0]) for number in (435, 437, 2000, 1 << 30)]
        found["opened"] = {
            f"{name} {flags:o}": await payload(pool, "opened", str(path), flags)
            for name, path in (
                ("lock", house.ledger / "lock.mdb"),
                ("ledger", house.ledger / "data.mdb"),
                ("key", house.key),
                ("shm", Path("/dev/shm/x")),
                ("tmp", Path("/tmp/x")),
                ("fd", Path("/proc/self/fd/3")),
                ("mem", Path(f"/proc/{os.getpid()}/mem")),
            )
            for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT)
        }
        found["memory"] = {
            "private": await payload(pool, "mapped", 1024, 3, 0x22),
            "shared": await payload(pool, "mapped", 64, 3, 0x21),
            "shared, read": await payload(pool, "mapped", 64, 1, 0x21),
            "growing": await payload(pool, "mapped", 64, 3, 0x122),
            "locked": await payload(pool, "mapped", 64, 3, 0x2022),
            "huge": await payload(pool, "mapped", 64, 3, 0x40022),
            "droppable": await payload(pool, "mapped", 64, 3, 0x28),
            "grown": await payload(pool, "grown", 1024),
        }
        found["addresses"] = await payload(pool, "addresses")
        found["thread"] = await payload(pool, "thread")
        found["descriptors"] = await payload(pool, "descriptors")
        found["limits"] = await payload(pool, "limits")
        found["still the same host"] = pool.status()["running"] == 1
    found["unchanged"] = house.traces() == before
    found["commits"] = house.commits_in_time()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(outcomes(Path(sys.argv[1])))))
    sys.stdout.flush()
    os._exit(0)  # a commit that never ends does not hold this process
