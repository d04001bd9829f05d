"""The system calls that a chaincode host may make, those that are refused by name, and their numbers.

Numbers are those of <asm/unistd_64.h> on x86_64 and of <asm-generic/unistd.h> on aarch64; None where a call does not
exist there.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Numbers(NamedTuple):
    """A call's number on each architecture."""

    x86_64: int | None
    aarch64: int | None


def _numbers(**calls: tuple[int | None, int | None]) -> dict[str, Numbers]:
    return {name: Numbers(*numbers) for name, numbers in calls.items()}


ALLOWED: Final = _numbers(
    # files that are open, or that Landlock lets a host open
    read=(0, 63), write=(1, 64), close=(3, 57), readv=(19, 65), writev=(20, 66), pread64=(17, 67), lseek=(8, 62),
    stat=(4, None), fstat=(5, 80), lstat=(6, None), newfstatat=(262, 79), statx=(332, 291), access=(21, None),
    faccessat=(269, 48), faccessat2=(439, 439), readlink=(89, None), readlinkat=(267, 78), getcwd=(79, 17),
    getdents64=(217, 61), dup=(32, 23), dup2=(33, None), dup3=(292, 24),
    # the socket to the peer
    recvfrom=(45, 207), sendto=(44, 206), getsockname=(51, 204), getpeername=(52, 205), getsockopt=(55, 209),
    poll=(7, None), ppoll=(271, 73), select=(23, None), pselect6=(270, 72),
    # its own memory, signals and locks
    brk=(12, 214), munmap=(11, 215), mprotect=(10, 226), futex=(202, 98), rt_sigaction=(13, 134),
    rt_sigprocmask=(14, 135), rt_sigreturn=(15, 139), sigaltstack=(131, 132), restart_syscall=(219, 128),
    # time, and what it may know of itself
    clock_gettime=(228, 113), clock_getres=(229, 114), gettimeofday=(96, 169), time=(201, None), nanosleep=(35, 101),
    clock_nanosleep=(230, 115), times=(100, 153), getrusage=(98, 165), getrlimit=(97, 163), getpid=(39, 172),
    gettid=(186, 178), getppid=(110, 173), getuid=(102, 174), geteuid=(107, 175), getgid=(104, 176),
    getegid=(108, 177), getgroups=(115, 158), uname=(63, 160), sysinfo=(99, 179), getcpu=(309, 168),
    sched_getaffinity=(204, 123), getpriority=(140, 141), sched_yield=(24, 124), getrandom=(318, 278),
    exit=(60, 93), exit_group=(231, 94),
)  # fmt: skip

CONDITIONAL: Final = _numbers(
    open=(2, None), openat=(257, 56), mmap=(9, 222), madvise=(28, 233), fcntl=(72, 25), ioctl=(16, 29),
    prlimit64=(302, 261), tgkill=(234, 131),
)  # fmt: skip
"""Allowed with certain arguments; :mod:`~gridledger.contract.hosting.seccomp` says with which."""

FORBIDDEN: Final = _numbers(
    # processes, threads and programs; clone3 is not here: ENOSYS makes the C library take clone instead
    clone=(56, 220), fork=(57, None), vfork=(58, None), execve=(59, 221), execveat=(322, 281),
    # other processes: signals, limits, priority, memory
    kill=(62, 129), tkill=(200, 130), rt_sigqueueinfo=(129, 138), rt_tgsigqueueinfo=(297, 240), pidfd_open=(434, 434),
    pidfd_send_signal=(424, 424), pidfd_getfd=(438, 438), setrlimit=(160, 164), setpriority=(141, 140),
    ioprio_set=(251, 30), sched_setparam=(142, 118), sched_setscheduler=(144, 119), sched_setaffinity=(203, 122),
    sched_setattr=(314, 274), ptrace=(101, 117), process_vm_readv=(310, 270), process_vm_writev=(311, 271),
    process_madvise=(440, 440), kcmp=(312, 272), perf_event_open=(298, 241),
    # what files are and where they lie
    creat=(85, None), truncate=(76, 45), ftruncate=(77, 46), fallocate=(285, 47), chmod=(90, None), fchmod=(91, 52),
    fchmodat=(268, 53), fchmodat2=(452, 452), chown=(92, None), fchown=(93, 55), lchown=(94, None), fchownat=(260, 54),
    setxattr=(188, 5), lsetxattr=(189, 6), fsetxattr=(190, 7), removexattr=(197, 14), lremovexattr=(198, 15),
    fremovexattr=(199, 16), setxattrat=(463, 463), removexattrat=(466, 466), utime=(132, None), utimes=(235, None),
    futimesat=(261, None), utimensat=(280, 88), link=(86, None), linkat=(265, 37), symlink=(88, None),
    symlinkat=(266, 36), unlink=(87, None), unlinkat=(263, 35), rename=(82, None), renameat=(264, 38),
    renameat2=(316, 276), mkdir=(83, None), mkdirat=(258, 34), rmdir=(84, None), mknod=(133, None), mknodat=(259, 33),
    flock=(73, 32), sync=(162, 81), syncfs=(306, 267), fsync=(74, 82), fdatasync=(75, 83), pwrite64=(18, 68),
    # memory that RLIMIT_DATA does not bound
    mremap=(25, 216), memfd_create=(319, 279), memfd_secret=(447, 447), mlock=(149, 228), mlock2=(325, 284),
    mlockall=(151, 230), shmget=(29, 194), shmat=(30, 196), shmctl=(31, 195), shmdt=(67, 197), msgget=(68, 186),
    msgsnd=(69, 189), msgrcv=(70, 188), msgctl=(71, 187), semget=(64, 190), semop=(65, 193), semtimedop=(220, 192),
    semctl=(66, 191), mq_open=(240, 180), mq_unlink=(241, 181), mq_timedsend=(242, 182), mq_timedreceive=(243, 183),
    mq_notify=(244, 184), mq_getsetattr=(245, 185), pipe=(22, None), pipe2=(293, 59), userfaultfd=(323, 282),
    # the network, and descriptors to or from others
    socket=(41, 198), socketpair=(53, 199), connect=(42, 203), bind=(49, 200), listen=(50, 201), accept=(43, 202),
    accept4=(288, 242), sendmsg=(46, 211), recvmsg=(47, 212), sendmmsg=(307, 269), recvmmsg=(299, 243),
    setsockopt=(54, 208), shutdown=(48, 210), io_uring_setup=(425, 425), io_uring_enter=(426, 426),
    io_uring_register=(427, 427),
    # its own rights, and the system
    prctl=(157, 167), seccomp=(317, 277), setuid=(105, 146), setgid=(106, 144), setreuid=(113, 145),
    setregid=(114, 143), setresuid=(117, 147), setresgid=(119, 149), setgroups=(116, 159), capset=(126, 91),
    setsid=(112, 157), setpgid=(109, 154), unshare=(272, 97), setns=(308, 268), mount=(165, 40), umount2=(166, 39),
    chroot=(161, 51), pivot_root=(155, 41), personality=(135, 92), bpf=(321, 280), add_key=(248, 217),
    request_key=(249, 218), keyctl=(250, 219),
)  # fmt: skip
