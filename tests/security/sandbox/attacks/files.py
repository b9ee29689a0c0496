"""Reading what is not the run's, writing where it may not."""

import ctypes
import fcntl
import json
import os
import signal
import struct
from glob import glob

from tools import (
    LIBC,
    calls_that_work,
    change_mode,
    change_times,
    content,
    files_with_secret,
    that_open,
    that_work,
)

OUTPUT = os.environ["EXECFABRIC_OUTPUT_DIR"]
INPUTS = os.environ["EXECFABRIC_INPUT_DIR"]
UP = "../" * 12
MS_REMOUNT, MS_BIND = 32, 4096


def read_shadow(lab):
    return that_open(["/etc/shadow", "/etc/gshadow", "/root/.bash_history"], os.O_RDONLY)


def read_another_tenants_file(lab):
    return files_with_secret(lab, [lab["tenant_file"]])


def read_the_platforms_settings_and_code(lab):
    code = [path for path in lab["code"] if content(path)]
    return files_with_secret(lab, [lab["settings_file"]]) + code


def list_folders_of_others(lab):
    seen = []
    for folder in ("/tmp", "/var/tmp", "/home", lab["folder"], lab["runs"], INPUTS + "/..", "/"):
        try:
            seen += [f"{folder}/{name}" for name in os.listdir(folder)]
        except OSError:
            continue
    marks = (os.path.basename(lab["tmp_file"]), "tenant_b", "victim-run", "srv", "home")
    return [path for path in seen if path.rpartition("/")[2] in marks]


def climb_out_with_dots(lab):
    path = lab["tenant_file"].lstrip("/")
    starts = (
        "",
        f"{OUTPUT}/",
        f"{INPUTS}/",
        "/proc/self/cwd/",
        "/proc/self/root/",
        "/proc/1/root/",
    )
    return files_with_secret(lab, [start + UP + path for start in starts])


def follow_links_of_its_own(lab):
    for place in (OUTPUT, "/tmp", "."):
        for name, target in (("file", lab["tenant_file"]), ("folder", lab["folder"])):
            that_work({"link": lambda p=place, n=name, t=target: os.symlink(t, f"{p}/link-{n}")})
    return files_with_secret(lab, glob("link-*") + glob(f"{OUTPUT}/link-folder/*/*"))


def link_another_tenants_file_hard(lab):
    return that_work({"link": lambda: os.link(lab["tenant_file"], f"{OUTPUT}/hard")})


def write_outside(lab):
    folders = ("/", "/usr", "/usr/lib", "/etc", "/var/tmp", "/dev", "/run", "/job",
               lab["world_writable"], lab["folder"], INPUTS)  # fmt: skip
    return that_open([f"{folder}/pwned-{os.getpid()}" for folder in folders],
                     os.O_WRONLY | os.O_CREAT)  # fmt: skip


def change_what_it_was_given(lab):
    given = (__file__, os.path.dirname(__file__), INPUTS, os.environ["EXECFABRIC_INPUT"])
    attempts = {}
    for path in given:
        attempts |= {
            f"open {path}": lambda path=path: os.close(os.open(path, os.O_WRONLY)),
            f"chmod {path}": lambda path=path: change_mode(path),
            f"utime {path}": lambda path=path: change_times(path),
            f"rename {path}": lambda path=path: os.rename(path, f"{path}.old"),
        }
    return that_work(attempts)


def mount_again(lab):
    flags = ctypes.c_ulong(MS_REMOUNT | MS_BIND)
    places = ("/", "/usr", "/job", "/job/inputs")
    done = [place for place in places if LIBC.mount(None, place.encode(), None, flags, None) == 0]
    done += ["tmpfs"] if LIBC.mount(b"t", b"/tmp", b"tmpfs", 0, None) == 0 else []
    return done + (["umount"] if LIBC.umount2(b"/job", 2) == 0 else [])


def mount_with_the_new_calls(lab):
    writable = struct.pack("QQQQ", 0, 1, 0, 0)
    return calls_that_work({
        "open_tree": (428, -100, b"/", 1),
        "fsopen": (430, b"tmpfs", 0),
        "mount_setattr": (442, -100, b"/", 0x8000, writable, 32),
        "statmount": (457, writable, writable, 32, 0),
    })  # fmt: skip


def change_root(lab):
    return ["chroot"] if LIBC.chroot(OUTPUT.encode()) == 0 else []


def open_by_handle(lab):
    folder = os.open(INPUTS, os.O_RDONLY)
    handle = struct.pack("Ii", 8, 1) + struct.pack("Q", 2) + bytes(120)
    return calls_that_work({"open_by_handle_at": (304, folder, handle, 0)})


def use_files_left_open(lab):
    found = []
    for number in range(3, 1024):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
        path = UP + lab["tenant_file"].lstrip("/")
        that_work({"x": lambda number=number, path=path: os.open(path, 0, dir_fd=number)})
    return found


def write_kernel_settings(lab):
    return that_open(
        ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/modprobe",
         "/proc/sys/vm/overcommit_memory", "/sys/kernel/uevent_helper", "/proc/1/oom_score_adj",
         "/sys/fs/cgroup/cgroup.procs", "/proc/self/attr/current", "/proc/self/uid_map"],
        os.O_WRONLY,
    )  # fmt: skip


def read_kernel_memory(lab):
    log = ctypes.create_string_buffer(4096)
    opened = that_open(
        ["/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/kmsg", "/proc/kmsg", "/dev/port"],
        os.O_RDONLY,
    )
    return opened + (["klogctl"] if LIBC.klogctl(3, log, 4096) > 0 else [])


def open_devices(lab):
    opened = that_open(
        ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0", "/dev/fuse", "/dev/net/tun",
         "/dev/kvm", "/dev/vsock", "/dev/ptmx"],
        os.O_RDONLY,
    )  # fmt: skip

    def make_and_open(folder):
        os.mknod(f"{folder}/disk", 0o60666, os.makedev(254, 0))
        os.open(f"{folder}/disk", os.O_RDONLY)

    places = (OUTPUT, "/tmp", "/dev", ".")
    return opened + that_work({place: lambda p=place: make_and_open(p) for place in places})


def watch_what_others_do(lab):
    """The machine's /usr is everybody's: to see it used is to see others work."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # What dnotify tells by; it would end the run.
    watch = LIBC.inotify_init1(0)
    reached = ["inotify"] if LIBC.inotify_add_watch(watch, b"/usr/bin", 0x20) >= 0 else []
    folder, own = os.open("/usr/bin", os.O_RDONLY), os.open(__file__, os.O_RDONLY)
    return reached + that_work(
        {
            "dnotify": lambda: fcntl.fcntl(folder, 1026, 1),
            # Whoever else opens the file then waits.
            "lease": lambda: fcntl.fcntl(own, 1024, fcntl.F_RDLCK),
        }
    )


def find_secrets_in_the_environment(lab):
    own = json.dumps(dict(os.environ)) + content("/proc/self/environ").decode("utf-8", "replace")
    return ["own environment"] if lab["secret"] in own else []
