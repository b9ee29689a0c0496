"""The only way out of a sandbox: a gate process that looks at every address before it connects.

A run keeps its own network namespace, which leads nowhere. In it process 1 listens for proxy
requests (``listener.py``) and hands the open socket to the worker, which passes it on to a process
of the run's own (``keeper.py``, ``gate.py``). What may be reached says ``policy.py``.
"""
