"""What hostile rows do, as texts: each is run by ``tests/executors/script/warm/rows.py``."""

from __future__ import annotations

TOOLS = """
import ctypes, fcntl, json, mmap, os, resource, signal, socket, struct, subprocess, sys, tempfile
import threading, time
LIBC = ctypes.CDLL(None, use_errno=True)
IS_X86 = os.uname().machine == "x86_64"
SERVING = os.getppid()
PLACES = ["/room/work", "/room/tmp", "/room/output", "/room/report", "/room/shm"]
REPORT = "/room/report"
SHARED = ("input.json", "progress", "result.json", "bad-result")

def that_work(calls):
    done = []
    for name, call in calls.items():
        try:
            result = call()
        except OSError:
            continue
        if not (isinstance(result, int) and result < 0):
            done.append(name)
    return done

def call(x86, other, *arguments):
    return LIBC.syscall(x86 if IS_X86 else other, *map(ctypes.c_long, arguments))

def in_a_child(function, wait=False):
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    if wait:
        os.waitpid(pid, 0)

def daemon(function):
    def inner():
        os.setsid()
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        in_a_child(lambda: (function(), time.sleep(60)))
    in_a_child(inner, wait=True)
"""

PROBE = """
def free():
    found = os.statvfs("/room")
    return [found.f_bfree, found.f_ffree]

def children():
    made = []
    try:
        while True:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            made.append(pid)
    except BlockingIOError:
        pass
    for pid in made:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(made)

def can_write(path):
    with open(path + "/mine", "x") as file:
        file.write("x")
    mode = os.stat(path + "/mine").st_mode
    os.unlink(path + "/mine")
    return mode

def can_lock(path):
    with open(path) as file:
        for _ in range(50):  # Others of this machine lock /dev/null, too, for moments.
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
        raise BlockingIOError(path)

attributes = ctypes.create_string_buffer(56)
call(315, 275, 0, ctypes.addressof(attributes), 56, 0)
taken = socket.socket(socket.AF_UNIX)
taken.bind("\\0mine")
one, other = socket.socketpair()
socket.send_fds(one, [b"x"], [taken.fileno()] * 100)
one.close(), other.close()
can_lock("/dev/null")
can_lock("/job/script/main.py")
with tempfile.NamedTemporaryFile() as file:
    file.write(b"x" * (8 << 20))
answer = {
    "free": free(), "cwd": os.getcwd(), "umask": os.umask(0o77),
    "found": {path: [os.listdir(path), os.listxattr(path), oct(os.stat(path).st_mode)]
              for path in ["/room", "/tmp", "/dev/shm", *PLACES] if path != REPORT},
    "report": [(name, os.lstat(f"{REPORT}/{name}").st_mode) for name in sorted(os.listdir(REPORT))],
    "limits": [resource.getrlimit(number) for number in range(16) if number != 6],
    "scheduling": [attributes.raw.hex(), sorted(os.sched_getaffinity(0)), call(252, 31, 1, 0)],
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "pending": sorted(signal.sigpending()), "alarm": signal.alarm(0),
    "timer": signal.getitimer(signal.ITIMER_REAL),
    "flags": [fcntl.fcntl(number, fcntl.F_GETFL) for number in range(3)],
    "opened": len(os.listdir("/proc/self/fd")),
    "writes": [can_write(path) for path in ["/tmp", "/dev/shm", *PLACES]],
    "seen": [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()],
    "children": children(), "same": os.path.samefile("/tmp", "/room/tmp"),
    "prctl": [LIBC.prctl(option, 0, 0, 0, 0) for option in (3, 7, 27, 30, 42)],
    "name": open("/proc/self/comm").read(), "oom": open("/proc/self/oom_score_adj").read(),
    "slack": LIBC.prctl(30, 0, 0, 0, 0),
}
"""
"""Everything one row could find of another."""

REACHES = {
    "signals": """
        answer = that_work({
            f"kill {number} {pid}": lambda number=number, pid=pid: os.kill(pid, number)
            for number in (0, *signal.valid_signals()) for pid in (SERVING, -SERVING)
        } | {
            "kill 1": lambda: os.kill(1, signal.SIGKILL), "stop 1": lambda: os.kill(1, 19),
        })
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        that_work({"all others": lambda: os.kill(-1, signal.SIGTERM)})
        """,
    "signals by other calls": """
        handle, first = os.pidfd_open(SERVING), os.pidfd_open(1)
        info = ctypes.create_string_buffer(128)
        info.raw = struct.pack("iii", 9, 0, -1).ljust(128, bytes(1))
        at = ctypes.addressof(info)
        answer = that_work({
            "by handle": lambda: signal.pidfd_send_signal(handle, signal.SIGKILL),
            "a thread": lambda: call(234, 131, SERVING, SERVING, 9),
            "any thread": lambda: call(200, 130, SERVING, 9),
            "queued": lambda: call(129, 138, SERVING, 9, at),
            "queued to a thread": lambda: call(297, 240, SERVING, SERVING, 9, at),
            "stop": lambda: signal.pidfd_send_signal(handle, signal.SIGSTOP),
            "release": lambda: call(448, 448, handle, 0),
        })
        """,
    "signals by files": """
        reader, writer = os.pipe()
        pair = socket.socketpair()
        answer = that_work({
            "owner": lambda: fcntl.fcntl(reader, fcntl.F_SETOWN, SERVING),
            "owner of a socket": lambda: fcntl.fcntl(pair[0], fcntl.F_SETOWN, SERVING),
            "ioctl": lambda: fcntl.ioctl(pair[0], 0x8901, struct.pack("i", SERVING)),
            "other ioctl": lambda: fcntl.ioctl(pair[0], 0x8902, struct.pack("i", SERVING)),
            "owner ex": lambda: fcntl.fcntl(reader, 15, struct.pack("ii", 1, SERVING)),
        })
        """,
    "tracing": """
        answer, here = [], ctypes.create_string_buffer(64)
        for pid in (SERVING, 1):
            vector = struct.pack("QQ", ctypes.addressof(here), 8)
            handle = os.pidfd_open(pid)
            answer += that_work({
                f"attach {pid}": lambda: LIBC.ptrace(16, pid, 0, 0),
                f"seize {pid}": lambda: LIBC.ptrace(0x4206, pid, 0, 0),
                f"read {pid}": lambda: LIBC.process_vm_readv(pid, vector, 1, vector, 1, 0),
                f"write {pid}": lambda: LIBC.process_vm_writev(pid, vector, 1, vector, 1, 0),
                f"take a file of {pid}": lambda: call(438, 438, handle, 4, 0),
                f"compare {pid}": lambda: call(312, 272, pid, os.getpid(), 0, 0, 0),
                f"advise {pid}": lambda: call(440, 440, handle, 0, 0, 4, 0),
                f"robust {pid}": lambda: LIBC.syscall(
                    274 if IS_X86 else 100, pid, here, ctypes.byref(here, 8)),
                f"enter {pid}": lambda: LIBC.setns(handle, 0x20000),
                f"core {pid}": lambda: LIBC.prctl(62, 2, pid, 0, 0),
                f"perf {pid}": lambda: call(298, 241, 0, pid, -1, -1, 0),
                f"pages {pid}": lambda: call(279, 239, pid, 0, 0, 0, 0, 0),
                f"group {pid}": lambda: os.setpgid(pid, pid),
            })
        """,
    "its files in /proc": """
        names = ("mem", "maps", "fd", "fdinfo", "environ", "root", "cwd", "exe", "stat", "status",
                 "task", "map_files", "ns", "syscall", "stack", "auxv", "timerslack_ns")
        places = {f"/proc/{pid}/{name}" for pid in (SERVING, 1) for name in names}
        places |= {f"/proc/{SERVING}/fd/{number}" for number in range(12)}
        places |= {f"/proc/{SERVING}/task/{SERVING}/mem", f"/proc/self/task/{SERVING}/mem"}
        answer = that_work({path: lambda path=path: os.open(path, 0) for path in places})
        answer += that_work({path: lambda path=path: os.listdir(path) for path in places})
        answer += [name for name in os.listdir("/proc") if name in (str(SERVING), "1")]
        """,
    "descriptors": """
        listing = os.open("/proc/self/fd", os.O_RDONLY)
        answer = [name for name in os.listdir(listing) if int(name) not in (0, 1, 2, listing)
                  and os.path.exists(f"/proc/self/fd/{name}")]
        """,
    "shared memory": """
        answer = [line for line in open("/proc/self/maps") if line.split()[1][1::2] == "ws"]
        """,
    "keys, queues and others' memory": """
        answer = that_work({
            "key": lambda: LIBC.syscall(248 if IS_X86 else 217, b"user", b"x", b"y", 1, -3),
            "keyring": lambda: call(250, 219, 0, -3, 1),
            "shm": lambda: LIBC.shmget(1, 4096, 0o1666),
            "msg": lambda: LIBC.msgget(1, 0o1666), "sem": lambda: LIBC.semget(1, 1, 0o1666),
            "queue": lambda: call(240, 180, 0, 0o102, 0, 0), "watch": lambda: LIBC.inotify_init1(0),
            "memory": lambda: os.memfd_create("x"), "persona": lambda: LIBC.personality(0x40000),
        })
        """,
    "places of others": """
        places = ["/job", "/job/script", "/job/input.json", "/run", "/run/0", "/", "/etc", "/proc",
                  "/dev", "/usr", "/proc/self/oom_score_adj", "/proc/self/comm"]
        answer = that_work({
            path: lambda path=path: os.open(path + "/x", os.O_CREAT | os.O_WRONLY)
            for path in places
        } | {
            path + " itself": lambda path=path: os.open(path, os.O_WRONLY) for path in places
        })
        """,
    "the terminal": """
        answer = that_work({
            "open": lambda: os.open("/dev/tty", os.O_RDWR), "new": lambda: os.openpty(),
            **{f"take {n}": lambda n=n: fcntl.ioctl(n, 0x540E, 1) for n in range(3)},
            **{f"type {n}": lambda n=n: fcntl.ioctl(n, 0x5412, b"x") for n in range(3)},
        })
        """,
    "a group of the one who serves": """
        answer = that_work({
            "join": lambda: os.setpgid(0, os.getpgid(SERVING)),
            "move": lambda: os.setpgid(SERVING, 0),
        })
        """,
}
