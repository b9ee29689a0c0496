#!/usr/bin/env python3
"""Commands of the operator: ``manage.py help`` lists them."""

import os
import sys

if __name__ == "__main__":
    from execfabric.core.memory import begin_to_load

    begin_to_load()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "execfabric.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"manage.py: {error}")
    except ProgrammingError as error:
        from tenants.postgresql.cursors import StatementRefused

        if not isinstance(error, StatementRefused):
            raise
        sys.exit(f"manage.py: {error}")
