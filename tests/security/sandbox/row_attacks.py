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
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

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
            "keyring": lambda: call(250, 219, 0, -3, 1), "shm": lambda: LIBC.shmget(1, 4096, 0o1666),
            "msg": lambda: LIBC.msgget(1, 0o1666), "sem": lambda: LIBC.semget(1, 1, 0o1666),
            "queue": lambda: call(240, 180, 0, 0o102, 0, 0), "watch": lambda: LIBC.inotify_init1(0),
            "memory": lambda: os.memfd_create("x"), "persona": lambda: LIBC.personality(0x40000),
        })
        """,
    "places of others": """
        places = ["/job", "/job/script", "/job/input.json", "/run", "/run/0", "/", "/etc", "/proc",
                  "/dev", "/usr", "/proc/self/oom_score_adj", "/proc/self/comm"]
        answer = that_work({
            path: lambda path=path: os.open(path + "/x", os.O_CREAT | os.O_WRONLY) for path in places
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

LEAVES = {
    "daemons": """
        def stay():
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            while True:
                time.sleep(1)
        for _ in range(3):
            daemon(stay)
        """,
    "a fork bomb": """
        def bomb():
            while True:
                try:
                    os.fork()
                except BlockingIOError:
                    time.sleep(0.0005)
        daemon(bomb)
        time.sleep(0.2)
        """,
    "processes that come back": """
        def again():
            while True:
                try:
                    if os.fork():
                        os._exit(0)
                    os.setsid()
                except BlockingIOError:
                    pass
        daemon(again)
        daemon(again)
        time.sleep(0.1)
        """,
    "stopped processes": """
        daemon(lambda: os.kill(os.getpid(), signal.SIGSTOP))
        in_a_child(lambda: os.kill(os.getpid(), signal.SIGSTOP))
        time.sleep(0.1)
        """,
    "a parent in vfork": """
        def wait_for_child():
            if call(56, 220, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
                signal.pause()
        daemon(wait_for_child)
        time.sleep(0.1)
        """,
    "threads without their first": """
        def leave():
            threading.Thread(target=time.sleep, args=[60]).start()
            call(60, 93, 0)
        daemon(leave)
        time.sleep(0.1)
        """,
    "zombies and a reaper": """
        LIBC.prctl(36, 1, 0, 0, 0)
        for _ in range(5):
            in_a_child(lambda: in_a_child(lambda: time.sleep(0.02)))
        time.sleep(0.05)
        """,
    "children of an ending that tells by a signal": """
        pid = call(56, 220, 9, 0, 0, 0, 0)
        if pid == 0:
            time.sleep(60)
        os._exit(0)
        """,
    "programs": """
        for _ in range(3):
            subprocess.Popen(["/bin/sh", "-c", "trap '' 1 2 15; while :; do sleep 9; done"],
                             start_new_session=True, stdout=subprocess.DEVNULL)
        """,
    "files everywhere": """
        for path in PLACES:
            for name in ("left", ".hidden", "new\\nline", b"\\xff\\xfe".decode("utf-8", "surrogateescape"),
                         "x" * 255, "-rf", "mine"):
                with open(f"{path}/{name}", "w") as file:
                    file.write("x")
                os.chmod(f"{path}/{name}", 0)
            os.makedirs(f"{path}/closed/deeper/deepest")
            open(f"{path}/closed/deeper/deepest/file", "w").close()
            for part in ("closed/deeper/deepest", "closed/deeper", "closed"):
                os.chmod(f"{path}/{part}", 0)
        """,
    "a deep chain": """
        for path in ("/room/report", "/tmp"):
            os.chdir(path)
            for _ in range(1500):
                os.mkdir("d")
                os.chdir("d")
            open("file", "w").close()
            os.chmod(".", 0)
        """,
    "many files": """
        for number in range(9000):
            os.close(os.open(f"/room/shm/{number}", os.O_CREAT | os.O_WRONLY))
        """,
    "hard links": """
        for path in PLACES:
            for number in range(50):
                os.link(f"{REPORT}/progress", f"{path}/link-{number}")
        """,
    "links instead of files": """
        open("/room/work/target", "w").close()
        for name, target in zip(SHARED, ("/room/work/target", "/etc/passwd", "/proc/self/mem", "/")):
            if os.path.lexists(f"{REPORT}/{name}"):
                os.unlink(f"{REPORT}/{name}")
            os.symlink(target, f"{REPORT}/{name}")
        for path in PLACES:
            os.symlink("/job", f"{path}/link")
            os.symlink("loop", f"{path}/loop")
        os._exit(0)
        """,
    "pipes instead of files": """
        for name in SHARED:
            if os.path.lexists(f"{REPORT}/{name}"):
                os.unlink(f"{REPORT}/{name}")
            os.mkfifo(f"{REPORT}/{name}")
        os._exit(0)
        """,
    "sockets instead of files": """
        for name in SHARED:
            if os.path.lexists(f"{REPORT}/{name}"):
                os.unlink(f"{REPORT}/{name}")
            socket.socket(socket.AF_UNIX).bind(f"{REPORT}/{name}")
        os._exit(0)
        """,
    "folders instead of files": """
        for name in SHARED:
            if os.path.lexists(f"{REPORT}/{name}"):
                os.unlink(f"{REPORT}/{name}")
            os.makedirs(f"{REPORT}/{name}/in/it")
            os.chmod(f"{REPORT}/{name}", 0o555)
        os._exit(0)
        """,
    "files that cannot be written": """
        for name in SHARED:
            with open(f"{REPORT}/{name}", "a"):
                os.chmod(f"{REPORT}/{name}", 0)
        os._exit(0)
        """,
    "a full disk": """
        try:
            for number in range(100):
                with open(f"/tmp/{number}", "wb", buffering=0) as file:
                    file.write(b"x" * (1 << 20))
        except OSError:
            pass
        """,
    "all files there may be": """
        try:
            for number in range(20_000):
                os.mkdir(f"/room/output/{number}")
        except OSError:
            pass
        """,
    "deleted files that daemons hold": """
        def hold():
            with open("/tmp/held", "wb", buffering=0) as file:
                os.unlink("/tmp/held")
                file.write(b"x" * (8 << 20))
                time.sleep(60)
        daemon(hold)
        time.sleep(0.1)
        """,
    "a file without a name": """
        file = os.open("/room/work", os.O_TMPFILE | os.O_RDWR)
        os.write(file, b"x" * 100)
        named = f"/proc/self/fd/{file}".encode(), -100, b"/room/work/named"
        assert LIBC.linkat(-100, *named, 0x400) == 0
        """,
    "files on their way in sockets": """
        file = os.open("/room/work", os.O_TMPFILE | os.O_RDWR)
        os.write(file, b"x" * (8 << 20))
        for _ in range(40):
            one, other = socket.socketpair()
            socket.send_fds(one, [b"x"], [file, one.fileno(), other.fileno()])
            socket.send_fds(other, [b"x"], [file, one.fileno(), other.fileno()])
        """,
    "abstract sockets": """
        def listen():
            global kept
            kept = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for each, name in zip(kept, ("mine", "other", "third")):
                each.bind("\\0" + name)
                each.listen()
            time.sleep(60)
        daemon(listen)
        time.sleep(0.1)
        """,
    "locks": """
        def lock():
            global kept
            kept = [open(path) for path in ("/dev/null", "/job/script/main.py")]
            for each in kept:
                fcntl.flock(each, fcntl.LOCK_EX)
            time.sleep(60)
        daemon(lock)
        time.sleep(0.1)
        """,
    "flags and a lock of standard input": """
        fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND | 0x2000)
        fcntl.flock(0, fcntl.LOCK_EX)
        """,
    "limits of its own": """
        for number in range(16):
            soft, hard = resource.getrlimit(number)
            less = 10**12 if hard == -1 else hard * 9 // 10
            resource.setrlimit(number, (less, less))
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        """,
    "priorities of its own": """
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        call(251, 30, 1, 0, 3 << 13)
        """,
    "timers": """
        os.umask(0)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        signal.alarm(1)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        timer = ctypes.c_void_p()
        LIBC.timer_create(1, None, ctypes.byref(timer))
        os.kill(os.getpid(), signal.SIGUSR1)
        """,
    "what a process may set of itself": """
        for option, value in ((4, 0), (1, 9), (8, 0), (15, 0), (29, 100), (41, 1), (43, 1), (36, 1)):
            if option != 15:
                LIBC.prctl(option, value, 0, 0, 0)
        LIBC.prctl(15, b"other", 0, 0, 0)
        LIBC.mlockall(3)
        """,
    "walls of its own": """
        for _ in range(3):
            ruleset = LIBC.syscall(444, struct.pack("=Q", 8191), 8, 0)
            LIBC.prctl(38, 1, 0, 0, 0)
            LIBC.syscall(446, ruleset, 0)
        os._exit(0)
        """,
    "a filter that asks somebody": """
        allow = struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000)
        held = ctypes.create_string_buffer(allow)
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(held))
        call(317, 277, 1, 8, ctypes.addressof(ctypes.create_string_buffer(program)))
        """,
    "a folder it stands in and that is gone": """
        os.mkdir("/room/work/here")
        os.chdir("/room/work/here")
        os.rmdir("/room/work/here")
        """,
    "a crash": """
        def crash():
            os.chdir("/room/work")
            ctypes.string_at(0)
        in_a_child(crash, wait=True)
        """,
    "memory that is mapped and deleted": """
        file = os.open("/room/shm/map", os.O_CREAT | os.O_RDWR)
        os.ftruncate(file, 4 << 20)
        kept = mmap.mmap(file, 4 << 20)
        kept.write(b"x" * (4 << 20))
        """,
}

SET_OF_OTHERS = """
def scheduling_of(pid):
    attributes = ctypes.create_string_buffer(56)
    if call(315, 275, pid, ctypes.addressof(attributes), 56, 0) < 0:
        raise OSError
    return bytearray(attributes.raw)

def set_scheduling(pid, attributes):
    given = ctypes.create_string_buffer(bytes(attributes), 56)
    if call(314, 274, pid, ctypes.addressof(given), 0) < 0:
        raise OSError(ctypes.get_errno(), "sched_setattr")
"""

CHANGES = {
    **{
        f"its limit {number}": f"""
        soft, hard = resource.prlimit(SERVING, {number})
        most = 10**12 if soft == -1 else max(0, soft - 1)
        resource.prlimit(SERVING, {number}, (most, hard))
        answer = []
        """
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15)
    },
    "its priority": "os.setpriority(os.PRIO_PROCESS, SERVING, 5)\nanswer = []",
    "the priority of its user": """
        that_work({"all but process 1": lambda: os.setpriority(os.PRIO_USER, os.getuid(), 5)})
        answer = []
        """,
    "its scheduler": "os.sched_setscheduler(SERVING, os.SCHED_BATCH, os.sched_param(0))\n"
    "answer = []",
    "what its children inherit": "os.sched_setscheduler(SERVING, os.SCHED_OTHER | 0x40000000, "
    "os.sched_param(0))\nanswer = []",
    "its time slice": SET_OF_OTHERS
    + "attributes = scheduling_of(SERVING)\nattributes[24:32] = struct.pack('Q', 50_000_000)\n"
    "set_scheduling(SERVING, attributes)\nanswer = []",
    "its processors": "os.sched_setaffinity(SERVING, {min(os.sched_getaffinity(0))})\n"
    "answer = []",
    "its priority for disks": "assert call(251, 30, 1, SERVING, 3 << 13) == 0\nanswer = []",
    "attributes of a folder": """
        for path in PLACES:
            os.setxattr(path, "user.note", b"for the next")
        answer = []
        """,
    "rights of a folder": """
        acl = struct.pack("=I", 2) + b"".join(struct.pack("=HHI", *entry) for entry in (
            (1, 7, 0xFFFFFFFF), (4, 0, 0xFFFFFFFF), (32, 7, 0xFFFFFFFF)))
        os.setxattr("/room/work", "system.posix_acl_default", acl)
        answer = []
        """,
    "modes of folders": """
        for path in PLACES:
            os.chmod(path, 0)
        os.chmod(REPORT, 0o711)
        answer = []
        """,
    "the mode of one folder": "os.chmod('/room/shm', 0o1777)\nanswer = []",
}

OF_A_FOLDERS_OWNER = {
    name: f"""
try:
    {code}
    answer = "done"
except PermissionError:
    answer = "denied"
"""
    for name, code in {
        "a file beside": "open('/room/more', 'w').close()",
        "a folder beside": "os.mkdir('/room/more')",
        "renamed": "os.rename('/room/work', '/room/report/work'); os.mkdir('/room/work')",
        "exchanged": "os.rename('/room/shm', '/room/x'); os.rename('/room/output', '/room/shm');"
        " os.rename('/room/x', '/room/output')",
        "exchanged with tmp": "os.rename('/room/shm', '/room/x'); os.rename('/room/tmp',"
        " '/room/shm'); os.rename('/room/x', '/room/tmp')",
        "made anew": "os.rmdir('/room/shm'); os.mkdir('/room/shm')",
        "a link": "os.rename('/room/output', '/room/report/o'); os.symlink('/job', '/room/output')",
        "gone": "os.rmdir('/room/shm')",
        "gone, with a file instead": "os.rmdir('/room/shm'); open('/room/more', 'w').close()",
        "closed": "os.chmod('/room', 0o500)",
        "marked": "os.setxattr('/room', 'user.note', b'for the next')",
    }.items()
}

REMEMBERS = """
secret = inputs[::-1]
print(secret)
for path in PLACES:
    os.makedirs(f"{path}/{secret}/{secret}")
    open(f"{path}/{secret}/{secret}.txt", "w").close()
    open(f"{path}/{secret}.txt", "w").write(secret * 100)
assert os.environ["EXECFABRIC_SECRET_KEY"] == secret
answer = len(secret)
"""
"""Leaves what it was given in every way; ``inputs`` is the secret backwards."""

SEARCHES = """
wanted, found = inputs[::-1].encode(), 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in list(maps):
        span, rights = line.split()[:2]
        if rights.startswith("r") and "[v" not in line:
            start, end = (int(part, 16) for part in span.split("-"))
            memory.seek(start)
            found += memory.read(end - start).count(wanted)
answer = found
"""
"""How often a word is in its memory, which is also where it builds the word for the search."""
