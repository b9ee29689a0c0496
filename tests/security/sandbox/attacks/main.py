"""Tries one attack: ``attack`` names a function of a module here, as in ``files.read_shadow``."""

import importlib


def main(attack: str, lab: dict) -> list:
    """Return what the attack reached, as texts.

    Args:
        attack: Module and function.
        lab: What the host prepared: places, addresses and a secret.
    """
    module, _, function = attack.partition(".")
    return [str(reached) for reached in getattr(importlib.import_module(module), function)(lab)]
