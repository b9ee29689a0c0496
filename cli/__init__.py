"""execfabric-cli: the command line client. Speaks HTTP to a platform and nothing else."""
