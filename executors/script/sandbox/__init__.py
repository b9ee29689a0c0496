"""The layers of the level ``ns``, one file each.

All but ``level.py`` and ``probe.py`` run in the stage, so they import the standard library only.
Functions take plain data and keep no state: a process that forked from a warm interpreter can
enter the sandbox with the same calls as one that was just started.
"""
