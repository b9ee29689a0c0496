"""Prints a lot, in one of several forms, and says how long the printing took."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

LINE = b"a line of eighty characters, as scripts print them all day long: %012d ....\n"


def main(mebibytes: int, form: str, first_line_wait_s: float = 0.0) -> dict[str, float]:
    """Return the seconds the printing took; form is nowhere, lines, one-line or noise."""
    if first_line_wait_s:
        print(f"printed at {time.time()}", flush=True)
        time.sleep(first_line_wait_s)
    size = mebibytes * 2**20
    began_at = time.perf_counter()
    if form == "nowhere":
        with Path(os.devnull).open("wb", buffering=0) as nowhere:
            print_lines(nowhere, size)
    else:
        out = os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
        {"lines": print_lines, "one-line": print_one_line, "noise": print_noise}[form](out, size)
    return {"seconds": time.perf_counter() - began_at}


def print_lines(out: IO[bytes], size: int) -> None:
    """One write for every line, as a terminal would see them."""
    out.writelines(LINE % number for number in range(size // len(LINE % 0)))


def print_one_line(out: IO[bytes], size: int) -> None:
    piece = b"x" * 65536
    for _ in range(size // len(piece)):
        write_all(out, piece)


def print_noise(out: IO[bytes], size: int) -> None:
    piece = os.urandom(65536)
    for _ in range(size // len(piece)):
        write_all(out, piece)


def write_all(out: IO[bytes], piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[out.write(left) :]


if __name__ == "__main__":
    print(main(int(sys.argv[1]), sys.argv[2]), file=sys.stderr)
