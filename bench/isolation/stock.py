"""python -m bench.isolation.stock SCHEMA…: upgrade schemas as stock django-tenants does.

Prints the seconds each took. Runs with the settings of the newer version, in one process, in one
session of the owner; the first schema, which also loads everything, is not among the figures.
"""

from __future__ import annotations

import json
import sys
import time

import django
from django.core.management import call_command


def main() -> None:
    django.setup()
    from tenants.postgresql.owner import as_owner

    seconds = []
    with as_owner():
        for schema in sys.argv[1:]:
            began_at = time.perf_counter()
            call_command("migrate_schemas", schema_name=schema, verbosity=0, interactive=False)
            seconds.append(time.perf_counter() - began_at)
    print(json.dumps(seconds[1:]))


if __name__ == "__main__":
    main()
