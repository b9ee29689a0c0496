"""Parts of the kernel a script has no business with. Numbers are those of x86_64."""

import ctypes
import errno
import mmap
import os
import socket
import struct

from tools import LIBC, calls_that_work, that_work


def use_keyrings(lab):
    return calls_that_work({
        "keyctl": (250, 0, -3, 1),
        "add_key": (248, b"user", b"x", b"y", 1, -4),
        "join": (250, 1, 0),
    })  # fmt: skip


def use_bpf_perf_and_rings(lab):
    bpf = struct.pack("IIIII", 2, 4, 4, 1, 0) + bytes(100)
    perf = struct.pack("IIQ", 1, 112, 0) + bytes(100)
    return calls_that_work({
        "bpf": (321, 0, bpf, 120),
        "perf_event_open": (298, perf, 0, -1, -1, 0),
        "userfaultfd": (323, 1),
        "io_uring_setup": (425, 4, bytes(120)),
    })  # fmt: skip


def use_calls_newer_than_the_review(lab):
    LIBC.syscall(466, -100, b"/tmp", 0, b"", 0)
    return [] if ctypes.get_errno() == errno.ENOSYS else ["466"]


def use_the_tables_of_other_machines(lab):
    """int 0x80 with the number of getpid on i386: the process must not survive it."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    child = os.fork()
    if child == 0:
        call()
        os._exit(0)
    return ["int 0x80"] if os.waitpid(child, 0)[1] == 0 else []


def open_exotic_sockets(lab):
    kinds = {
        "netlink": (16, socket.SOCK_RAW),
        "packet": (17, socket.SOCK_RAW),
        "vsock": (40, socket.SOCK_STREAM),
        "crypto": (38, 5),
        "bluetooth": (31, socket.SOCK_RAW),
        "raw": (socket.AF_INET, socket.SOCK_RAW),
    }
    return that_work({name: lambda kind=kind: socket.socket(*kind) for name, kind in kinds.items()})
