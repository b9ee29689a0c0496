"""The smallest job there is: what it takes is what surrounds it."""

from __future__ import annotations

import json
import sys


def main(n: int) -> dict[str, object]:
    """Return n + 1, and the interpreter that runs this."""
    return {"n": n + 1, "python": sys.executable}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
