"""The level ``bwrap``: namespaces and mounts made by bubblewrap, all else as at the level ``ns``.

``stage.py`` stays outside and starts bubblewrap; ``inside.py`` is process 1 of the run.
"""
