"""Using more than a run may."""

import ctypes
import fcntl
import os
import resource
import socket
import sys
import threading
import time

from tools import LIBC, that_work

OUTPUT = os.environ["EXECFABRIC_OUTPUT_DIR"]
MEBIBYTE = 1 << 20


def fork_without_end(lab):
    children = 0
    try:
        while children < 400:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            children += 1
    except OSError:
        pass
    return [f"{children} processes"] if children > lab["processes"] else []


def fork_in_the_shell(lab):
    code = "bomb() { bomb | bomb & }; bomb; sleep 30"
    os.execv("/bin/bash", ["bash", "-c", code, lab["daemon_mark"]])


def start_threads_without_end(lab):
    started = 0
    threading.stack_size(65536)
    try:
        while started < 1000:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
            started += 1
    except (RuntimeError, MemoryError):
        pass
    print(f"{started} threads", flush=True)
    sys.stdout.flush()
    with open(os.environ["EXECFABRIC_RESULT"], "w") as file:
        file.write("[]" if started <= lab["processes"] else f'["{started} threads"]')
    os._exit(0)


def use_all_memory(lab):
    blocks = [bytearray(os.urandom(1) * (50 * MEBIBYTE)) for _ in range(60)]
    return [f"{len(blocks) * 50} MiB"]


def use_all_memory_in_children(lab):
    for _ in range(20):
        if os.fork() == 0:
            block = bytearray(os.urandom(1) * (60 * MEBIBYTE))
            time.sleep(30)
            os._exit(len(block) & 1)
    time.sleep(30)
    return ["1.2 GiB"]


def use_memory_of_nobody(lab):
    """Shared memory, anonymous files, message queues: none counts as a process's memory."""
    LIBC.shmat.restype = ctypes.c_void_p
    queue = getattr(LIBC, "mq_open", None)
    made = {
        "shmget": LIBC.shmget(0, 100 * MEBIBYTE, 0o1600),
        "memfd": LIBC.syscall(319, b"x", 0),
        "msgget": LIBC.msgget(0, 0o1600),
        "semget": LIBC.semget(0, 10, 0o1600),
        "mq_open": queue(b"/x", os.O_CREAT | os.O_RDWR, 0o600, None) if queue else -1,
    }
    return [name for name, result in made.items() if result >= 0]


def enlarge_buffers(lab):
    """Pretended at most: the sizes must stay."""
    left, _right = socket.socketpair()
    before = left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    that_work({"x": lambda: left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 28)})
    grown = left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > before
    reader, _writer = os.pipe()
    pipes = that_work({"pipe": lambda: fcntl.fcntl(reader, 1031, 1 << 20)})
    return (["socket"] if grown else []) + pipes


def fill_the_buffers_of_sockets(lab):
    for _ in range(20):
        if os.fork() == 0:
            held = [socket.socketpair() for _ in range(100)]
            for end in (end for pair in held for end in pair):
                end.setblocking(False)
                that_work({"x": lambda end=end: [end.send(bytes(60_000)) for _ in range(1000)]})
            time.sleep(30)
    time.sleep(30)


def fill_the_disk(lab):
    written = 0
    block = b"x" * MEBIBYTE
    for folder in (OUTPUT, "/tmp", "/dev/shm", "/var/tmp", "."):
        try:
            for number in range(1000):
                with open(f"{folder}/f-{os.getpid()}-{number}", "wb", 0) as file:
                    for _ in range(20):
                        written += file.write(block)
                if written > 4 * lab["disk_bytes"]:
                    return [f"{written} bytes"]
        except OSError as error:
            print(folder, error)
    os.truncate(f"{OUTPUT}/f-{os.getpid()}-0", 0)  # Room for the result.
    return [f"{written} bytes"] if written > lab["disk_bytes"] else []


def use_up_all_inodes(lab):
    made = 0
    try:
        for number in range(10 * lab["disk_files"]):
            os.close(os.open(f"{OUTPUT}/i{number}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        print(error)
    os.unlink(f"{OUTPUT}/i0")  # Room for the result.
    return [f"{made} files"] if made > lab["disk_files"] else []


def write_a_huge_sparse_file(lab):
    def grow(size):
        with open(f"{OUTPUT}/sparse", "wb") as file:
            file.truncate(size)

    return that_work({"10 TiB": lambda: grow(10 << 40), "1 GiB": lambda: grow(1 << 30)})


def dump_core(lab):
    os.chdir(OUTPUT)
    if os.fork() == 0:
        os.kill(os.getpid(), 11)
    os.wait()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    return [name for name in os.listdir(".") if "core" in name] + (["limit"] if hard > 1 else [])


def print_without_end(lab):
    block = b"A" * MEBIBYTE
    for _ in range(300):
        os.write(1, block)
    return ["300 MiB"]
