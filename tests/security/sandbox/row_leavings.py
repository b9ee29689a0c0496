"""What hostile rows leave for the next one, as texts; see ``row_attacks.py``."""

from __future__ import annotations

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
            for name in (b"left", b".hidden", b"new\\nline", b"\\xff\\xfe", b"-rf", b"mine",
                         b"x" * 255):
                name = os.fsdecode(name)
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
        targets = "/room/work/target", "/etc/passwd", "/proc/self/mem", "/"
        for name, target in zip(SHARED, targets):
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
            if os.path.exists(f"{REPORT}/{name}"):
                os.chmod(f"{REPORT}/{name}", 0o600)
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
        for option, value in ((4, 0), (1, 9), (8, 0), (29, 100), (41, 1), (43, 1), (36, 1)):
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
    "its processors": "os.sched_setaffinity(SERVING, {min(os.sched_getaffinity(0))})\nanswer = []",
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
