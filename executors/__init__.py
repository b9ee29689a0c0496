"""Executors: how each kind of execution asset is validated and called. Django-free."""
