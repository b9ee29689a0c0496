"""Warm starts: a zygote, an interpreter that has started already, forks into each run's sandbox.

    pool.py         the worker's side: which zygotes there are
    fitness.py      which runs can start warm
    zygote.py       the zygote's process: takes orders, watches what it forked
    run.py          one run of a zygote: what the stage does at a cold start
    pages.py        the memory of a run, copied before it is ordered
    fork_hooks.py   what modules want done at a fork, for those of the script alone
    interpreter.py  how a forked child becomes the interpreter of a script, and how that one ends

All but ``pool.py`` and ``fitness.py`` run in the zygote. It is as trusted as the stage and imports
the standard library only. Nothing of a script, its environment, its inputs or secrets ever enters
its memory: only the children read what they are ordered to do, and none of them comes back.
"""
