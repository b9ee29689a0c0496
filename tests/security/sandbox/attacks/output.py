"""What the run leaves for the platform to read; the host judges what became of it."""

import os
import shutil
import socket

from tools import that_work

OUTPUT = os.environ["EXECFABRIC_OUTPUT_DIR"]
REPORT = os.path.dirname(os.environ["EXECFABRIC_RESULT"])


def leave_links(lab):
    targets = {"leak": lab["tenant_file"], "users": "/etc/passwd", "all": "/", "self": "/proc/self"}
    for name, target in targets.items():
        os.symlink(target, f"{OUTPUT}/{name}")
    os.makedirs(f"{OUTPUT}/good")
    with open(f"{OUTPUT}/good/a.txt", "w") as file:
        file.write("fine")
    return []


def leave_pipes_and_sockets(lab):
    that_work({
        "pipe": lambda: os.mkfifo(f"{OUTPUT}/pipe"),
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(f"{OUTPUT}/socket"),
    })  # fmt: skip
    with open(f"{OUTPUT}/real.txt", "w") as file:
        file.write("x")
    return []


def leave_a_setuid_program(lab):
    for folder in (OUTPUT, "/tmp"):
        shutil.copy("/bin/sleep", f"{folder}/sleep")
        that_work({"mode": lambda folder=folder: os.chmod(f"{folder}/sleep", 0o6755)})
    return []


def leave_folders_without_end(lab):
    os.chdir(OUTPUT)
    for _ in range(2000):
        os.mkdir("d")
        os.chdir("d")
    return []


def replace_the_result_by_a_link(lab):
    os.symlink(lab["tenant_file"], os.environ["EXECFABRIC_RESULT"])
    os._exit(0)


def replace_the_progress_by_a_link(lab):
    os.unlink(os.environ["EXECFABRIC_PROGRESS"])
    os.symlink(lab["progress_file"], os.environ["EXECFABRIC_PROGRESS"])
    return []


def close_its_folders(lab):
    with open(f"{OUTPUT}/a.txt", "w") as file:
        file.write("x")
    os.chmod(OUTPUT, 0)
    os.chmod(REPORT, 0)
    os._exit(0)


def print_control_characters(lab):
    os.write(
        1, bytes(range(256)) * 4 + b"\x1b[2J\x1b]0;pwn\x07 \x00 \xff\xfe \xc3\x28 \xed\xa0\x80\n"
    )
    os.write(2, b"\r\n2026-01-01 [platform] INFO run approved\r\xf0\x9f\x92")
    return []


def hijack_the_standard_library(lab):
    """A json.py beside the script must not run in the platform's own code."""
    print("imported", __import__("json").__file__)
    return []
