"""Calls one operation of an HTTP API: kind ``http``."""
