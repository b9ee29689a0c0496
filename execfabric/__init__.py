"""ExecFabric: governed execution of scripts and API calls, one PostgreSQL schema per tenant."""

__version__ = "0.1.0"
