"""seccomp: which calls of the kernel a script may make at all.

A list of what is denied: calls no script needs that reach around the other layers, use memory that
no limit counts, or have been the way out of sandboxes before. Calls newer than those reviewed do
not exist for a script. Programs see ordinary errors, so that they fall back where they can.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from executors.script.sandbox.kernel import (
    AUDIT_ARCHITECTURES,
    CLONE_PARENT,
    LIBC,
    MACHINE,
    PR_SET_SECCOMP,
    check,
    column,
)
from executors.script.sandbox.namespaces import (
    NEWCGROUP,
    NEWIPC,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
    NEWUTS,
)

NONE = -1
DENIED = {
    # name: numbers on x86_64 and aarch64
    # Other processes
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    # Mounts and namespaces
    "chroot": (161, 51),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "listmount": (458, 458),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "statmount": (457, 457),
    "umount2": (166, 39),
    "unshare": (272, 97),
    # Watching files, which also tells when others use those of /usr
    "fanotify_init": (300, 262),
    "inotify_init": (253, NONE),
    "inotify_init1": (294, 26),
    # Files by handle instead of by path
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Large parts of the kernel
    "add_key": (248, 217),
    "bpf": (321, 280),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    # Memory that belongs to no process and no file system of the run
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "semget": (64, 190),
    "shmat": (30, 196),
    "shmget": (29, 194),
    # The machine as a whole
    "acct": (163, 89),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    # Placement of memory
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "set_mempolicy": (238, 237),
    # Relics
    "_sysctl": (156, NONE),
    "ioperm": (173, NONE),
    "iopl": (172, NONE),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, NONE),
    "nfsservctl": (180, 42),
    "personality": (135, 92),
    "remap_file_pages": (216, 234),
    "sysfs": (139, NONE),
    "uselib": (134, NONE),
    "ustat": (136, NONE),
    "vserver": (236, NONE),
}
OF_OWNERS = {
    # As above. Landlock knows nothing of them.
    "chmod": (90, NONE),
    "chown": (92, NONE),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, NONE),
    "lchown": (94, NONE),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "setxattr": (188, 5),
    "utime": (132, NONE),
    "utimensat": (280, 88),
    "utimes": (235, NONE),
}
"""What the owner of a file may do to it wherever it lies: mode, owner, times, attributes."""
OF_ONE_PROCESS = {
    # As above. The first argument is a process, 0 the caller.
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}
OF_PROCESSES = {
    # As above. The first argument is a kind, the second one of that kind, 0 the caller's.
    "ioprio_set": (251, 30),
    "setpriority": (141, 140),
}
KIND_PROCESS = {"ioprio_set": 1, "setpriority": 0}
"""What a process may do to others of its user: a limit set for one can end it."""
NEWEST_REVIEWED = 462
"""mseal. What comes later answers ENOSYS; so does the x32 table, whose numbers are higher."""

CLONE = (56, 220)
CLONE3 = (435, 435)
FCNTL = (72, 25)
IOCTL = (16, 29)
SETSOCKOPT = (54, 208)
SOCKET = (41, 198)
SOCKETPAIR = (53, 199)

UNIX, INET, INET6 = 1, 2, 10
FAMILIES = (UNIX, INET, INET6)
"""Kinds of sockets a script can use; whatever they lead to is in namespaces of the run's own."""
NAMESPACES = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
TERMINAL_AND_OWNER = (0x5412, 0x541C, 0x8901, 0x8902)
"""TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP: typing for others, signals to others."""
PIPE_SIZE_AND_OWNER = (1031, 8, 10, 15, 1026, 1024, 1025)
"""F_SETPIPE_SZ, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_NOTIFY, F_SETLEASE, F_GETLEASE: memory
uncounted, signals to others, watching folders, holding up whoever else opens a file."""
SOL_SOCKET = 1
BUFFER_SIZES = (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF and their FORCE forms: memory uncounted."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW = 0x7FFF0000
KILL = 0x80000000
FAIL = 0x00050000
NUMBER_AT, MACHINE_AT, FIRST_AT, SECOND_AT, THIRD_AT = 0, 4, 16, 24, 32
FILTER_MODE = 2


_built: dict[tuple[tuple[int, ...], bool, bool], bytes] = {}
_Buffer = ctypes.Array[ctypes.c_char]
_programs: dict[bytes, tuple[_Buffer, _Buffer]] = {}
"""Each with the instructions it points to."""


class _Program:
    """Instructions of the filter; jumps count instructions to skip."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def add(self, code: int, value: int, yes: int = 0, no: int = 0) -> None:
        self.parts.append(struct.pack("=HBBI", code, yes, no, value & 0xFFFFFFFF))

    def answer_if(self, code: int, value: int, answer: int) -> None:
        self.add(code, value, 0, 1)
        self.add(ANSWER, answer)

    def for_call(self, number: int, body: _Program) -> None:
        """Run body, which must end with an answer, when the call is this one."""
        self.add(EQUAL, number, 0, len(body.parts))
        self.parts += body.parts


def build_filter(
    *,
    families: tuple[int, ...] = FAMILIES,
    keeps_files_as_they_are: bool = False,
    sees_others: bool = False,
) -> bytes:
    """Return the filter for this machine, built once. Raises UnknownMachine.

    families: of the sockets that can be made, pairs aside. keeps_files_as_they_are: changes of
    mode, owner and times seem to succeed and do nothing. sees_others: without a process namespace,
    limits and priorities can be set for the calling process only.
    """
    asked = families, keeps_files_as_they_are, sees_others
    if asked not in _built:
        _built[asked] = _build_filter(*asked)
    return _built[asked]


def _build_filter(
    families: tuple[int, ...], keeps_files_as_they_are: bool, sees_others: bool
) -> bytes:
    which = column()
    program = _Program()
    program.add(LOAD, MACHINE_AT)
    program.add(EQUAL, AUDIT_ARCHITECTURES[MACHINE], 1, 0)
    program.add(ANSWER, KILL)
    program.add(LOAD, NUMBER_AT)
    program.answer_if(AT_LEAST, NEWEST_REVIEWED + 1, FAIL | errno.ENOSYS)
    # Its flags lie in memory, where no filter can look; the C library then takes clone.
    program.answer_if(EQUAL, CLONE3[which], FAIL | errno.ENOSYS)
    for number in sorted({numbers[which] for numbers in DENIED.values()} - {NONE}):
        program.answer_if(EQUAL, number, FAIL | errno.EPERM)
    for number in sorted({numbers[which] for numbers in OF_OWNERS.values()} - {NONE}):
        if keeps_files_as_they_are:
            program.answer_if(EQUAL, number, FAIL)
    program.for_call(CLONE[which], _deny(FIRST_AT, ANY_BIT, (NAMESPACES, CLONE_PARENT)))
    program.for_call(IOCTL[which], _deny(SECOND_AT, EQUAL, TERMINAL_AND_OWNER))
    program.for_call(FCNTL[which], _deny(SECOND_AT, EQUAL, PIPE_SIZE_AND_OWNER))
    program.for_call(SOCKET[which], _only_families(*families))
    program.for_call(SOCKETPAIR[which], _only_families(UNIX))
    program.for_call(SETSOCKOPT[which], _keep_buffers())
    if sees_others:
        for numbers in OF_ONE_PROCESS.values():
            program.for_call(numbers[which], _only((FIRST_AT, 0)))
        for name, numbers in OF_PROCESSES.items():
            kind = KIND_PROCESS[name]
            program.for_call(numbers[which], _only((FIRST_AT, kind), (SECOND_AT, 0)))
    program.add(ANSWER, ALLOW)
    return b"".join(program.parts)


def _deny(where: int, code: int, values: tuple[int, ...]) -> _Program:
    # The kernel itself looks at the low half of these arguments only.
    body = _Program()
    body.add(LOAD, where)
    for value in values:
        body.answer_if(code, value, FAIL | errno.EPERM)
    body.add(ANSWER, ALLOW)
    return body


def _only(*wanted: tuple[int, int]) -> _Program:
    """Allow the call where each argument, given by where it lies, has its value."""
    body = _Program()
    for where, value in wanted:
        body.add(LOAD, where)
        body.add(EQUAL, value, 1, 0)
        body.add(ANSWER, FAIL | errno.EPERM)
    body.add(ANSWER, ALLOW)
    return body


def _only_families(*families: int) -> _Program:
    body = _Program()
    body.add(LOAD, FIRST_AT)
    for family in families:
        body.answer_if(EQUAL, family, ALLOW)
    body.add(ANSWER, FAIL | errno.EAFNOSUPPORT)
    return body


def _keep_buffers() -> _Program:
    """Programs that set buffer sizes go on; the sizes stay as they are."""
    body = _Program()
    body.add(LOAD, SECOND_AT)
    body.add(EQUAL, SOL_SOCKET, 1, 0)
    body.add(ANSWER, ALLOW)
    body.add(LOAD, THIRD_AT)
    for size in BUFFER_SIZES:
        body.answer_if(EQUAL, size, FAIL)
    body.add(ANSWER, ALLOW)
    return body


def restrict_calls(instructions: bytes) -> None:
    """Put the calling process under the filter, for good. Needs ``no_new_privs``."""
    check(LIBC.prctl(PR_SET_SECCOMP, FILTER_MODE, program_of(instructions), 0, 0), "seccomp")


def program_of(instructions: bytes) -> _Buffer:
    """Return a filter as the kernel takes it. Made once: a fork of the one who did has it, too."""
    if instructions not in _programs:
        held = ctypes.create_string_buffer(instructions)
        size = len(instructions) // 8
        program = ctypes.create_string_buffer(
            struct.pack("HxxxxxxP", size, ctypes.addressof(held))  # struct sock_fprog
        )
        _programs[instructions] = program, held
    return _programs[instructions][0]
