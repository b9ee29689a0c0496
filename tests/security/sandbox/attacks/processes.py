"""Reaching other processes, gaining rights, outliving the run."""

import os
import resource
import signal
import struct
import time

from tools import LIBC, content, that_work, visible_processes

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
SIBLING = 0x8000
CLONE = 56 if os.uname().machine == "x86_64" else 220


def read_environments_of_others(lab):
    processes = visible_processes(1, os.getppid(), lab["platform_pid"], lab["victim_pid"])
    return [pid for pid in processes
            if lab["secret"].encode() in content(f"/proc/{pid}/environ")]  # fmt: skip


def read_command_lines_of_others(lab):
    processes = visible_processes(lab["victim_pid"])
    mark = lab["victim_mark"].encode()
    return [pid for pid in processes if mark in content(f"/proc/{pid}/cmdline")]


def give_a_child_to_its_own_parent(lab):
    """Who watches a run looks below its processes, and nobody else waits for such a child."""
    child = LIBC.syscall(CLONE, SIBLING | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return [] if child < 0 else ["clone"]


def signal_others(lab):
    others = (lab["platform_pid"], lab["victim_pid"])
    return that_work({str(pid): lambda pid=pid: os.kill(pid, signal.SIGTERM) for pid in others})


def signal_everybody(lab):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    that_work({"all": lambda: os.kill(-1, signal.SIGTERM), "init": lambda: os.kill(1, 9)})
    time.sleep(0.2)
    return []  # The host looks whether its own are still there.


def set_limits_of_others(lab):
    others = (lab["victim_pid"], lab["platform_pid"])
    calls = {
        "limit": lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)),
        "processors": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(0)),
        "scheduler": lambda pid: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)),
        "priority": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
    }
    return that_work({f"{name} {pid}": lambda pid=pid, call=call: call(pid)
                      for name, call in calls.items() for pid in others})  # fmt: skip


def trace_others(lab):
    done = []
    for pid in {1, os.getppid(), lab["victim_pid"], lab["platform_pid"]}:
        target, source = struct.pack("QQ", id(b""), 1), struct.pack("QQ", 0x400000, 1)
        attached = LIBC.ptrace(0x4206, pid, 0, 0)
        read = LIBC.process_vm_readv(pid, target, 1, source, 1, 0)
        handle = LIBC.syscall(434, pid, 0)
        taken = LIBC.syscall(438, handle, 0, 0) if handle >= 0 else -1
        done += [pid] if max(attached, read, taken) >= 0 else []
    return done


def reach_the_guards_files(lab):
    places = [f"/proc/{pid}/{name}" for pid in (1, os.getppid()) for name in ("fd", "map_files")]
    return that_work(
        {place: lambda place=place: os.listdir(place) for place in places}
    ) + that_work({"memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb")})


def make_namespaces(lab):
    made = [flag for flag in (NEW_USER, NEW_MOUNTS, NEW_USER | NEW_MOUNTS)
            if LIBC.unshare(flag) == 0]  # fmt: skip
    child = LIBC.syscall(56, NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return made + (["clone"] if child > 0 else [])


def become_root(lab):
    shadow = "/tmp/sh"
    attempts = {
        "setuid": lambda: os.setuid(0),
        "setgid": lambda: os.setgid(0),
        "setgroups": lambda: os.setgroups([0]),
    }
    done = that_work(attempts)
    for program in ("su", "mount", "sudo", "newuidmap", "pkexec"):
        code = os.system(f"/usr/bin/{program} --version >/dev/null 2>&1; id -u >{shadow}")
        done += [program] if code == 0 and content(shadow).strip() == b"0" else []
    return done


def raise_limits(lab):
    done = []
    for name in ("AS", "DATA", "NPROC", "FSIZE", "CPU", "NOFILE", "STACK", "MEMLOCK"):
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        if hard == resource.RLIM_INFINITY:
            done.append(f"{name} has no limit")
            continue
        higher = (hard + 1, hard + 1)
        done += that_work({name: lambda w=which, h=higher: resource.setrlimit(w, h)})

    def survive_longest():
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")

    return done + that_work({
        "nice": lambda: os.nice(-5),
        "oom score": survive_longest,
        "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    })  # fmt: skip


def leave_daemons(lab):
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (0, 1, 2):
                    os.close(number)
                os.execv("/bin/sleep", ["sleep", lab["daemon_mark"]])
            os._exit(0)
    os.system(f"nohup setsid sleep {lab['daemon_mark']} >/dev/null 2>&1 &")
    time.sleep(0.3)
    return []


def ignore_all_signals(lab):
    for number in range(1, 65):
        that_work({"x": lambda number=number: signal.signal(number, signal.SIG_IGN)})
    leave_daemons(lab)
    time.sleep(600)


def stop_everything(lab):
    leave_daemons(lab)
    for _ in range(4):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def burn_all_processors(lab):
    leave_daemons(lab)
    for _ in range(3):
        os.fork()
    while True:
        pass


def type_into_the_terminal(lab):
    done = [number for number in (0, 1, 2) if LIBC.ioctl(number, 0x5412, b"x") == 0]
    return done + that_work({"terminal": lambda: os.open("/dev/tty", os.O_RDWR)})
