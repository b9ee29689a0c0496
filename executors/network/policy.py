"""What a run may reach: public addresses, narrowed by its asset and widened by the operator.

A rule is a host name (``*.`` at its start for all names below), an address or a range of addresses,
with ``:port`` behind it if only one port is meant: ``api.example.com``, ``*.example.com:443``,
``10.1.0.0/16``, ``[fd00::1]:8443``.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from executors.network.addresses import (
    NEVER_BY_NAME,
    Address,
    parse_address,
    reason_against,
)

HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
RULE = re.compile(
    r"(?P<host>\[[^\]]+\](?:/\d+)?|[^:\[\]]+|[0-9a-f:.]+(?:/\d+)?)(?::(?P<port>\d+))?"
)
HIGHEST_PORT = 65_535

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Rule:
    """One host, all hosts below a name, or a range of addresses; at one port or at all."""

    name: str = ""
    below: bool = False
    network: Network | None = None
    port: int | None = None

    def has_name(self, host: str, port: int) -> bool:
        if not self.name or self.port not in (None, port):
            return False
        return host.endswith(f".{self.name}") if self.below else host == self.name

    def has_address(self, address: Address, port: int) -> bool:
        return self.network is not None and self.port in (None, port) and address in self.network


def parse_rule(text: str) -> Rule:
    """Return the rule. Raises ValueError, whose message says what is wrong."""
    match = RULE.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no host name, address or range of addresses")
    host = match["host"].replace("[", "").replace("]", "")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port <= HIGHEST_PORT:
        raise ValueError(f"{text!r} names no port there is")
    try:
        return Rule(network=ipaddress.ip_network(host), port=port)
    except ValueError as error:
        if "/" in host or ":" in host or host.replace(".", "").isdigit():
            raise ValueError(f"{text!r} is no range of addresses: {error}") from None
    below = host.startswith("*.")
    name = host.removeprefix("*.")
    if not HOST_NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no host name, address or range of addresses")
    return Rule(name=name, below=below, port=port)


def parse_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules. Raises ValueError."""
    return tuple(parse_rule(text) for text in texts)


def are_naming(rules: Iterable[Rule], host: str, port: int) -> bool:
    """Return whether one of the rules says host itself, name or address. Nothing is looked up."""
    try:
        address = parse_address(host)
    except ValueError:
        return any(rule.has_name(host, port) for rule in rules)
    return any(rule.has_address(address, port) for rule in rules)


def is_own_address(address: Address) -> bool:
    """Return whether an address is this machine's: a public one leads to its services, too."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        try:
            trial.bind((str(address), 0))
        except OSError as error:
            # Any other failure, such as no memory for it, does not say whose it is.
            return error.errno != errno.EADDRNOTAVAIL
    return True


@dataclass(frozen=True)
class Policy:
    """hosts: what the asset asks for and was approved for; none means everything public.
    allowed: what is opened beyond the public addresses, to assets that name it. An address that is
    open is reached by a name only where that name is opened, too, or the asset names the address
    as well. named_in: what people call the place where an asset names its hosts."""

    hosts: tuple[Rule, ...] = ()
    allowed: tuple[Rule, ...] = ()
    is_own: Callable[[Address], bool] = field(default=is_own_address)
    named_in: str = "network_hosts of the skill"

    def problem_with_host(self, host: str, port: int) -> str:
        """Return why a name or address must not even be looked up; empty when it may."""
        if not self.hosts or self._is_named(host, port):
            return ""
        return f"it is not among the {self.named_in}"

    def problem_with_address(self, host: str, port: int, address: Address) -> str:
        """Return why an address that host stands for must not be reached; empty when it may."""
        reason = reason_against(address)
        if not reason and self.is_own(address):
            reason = "an address of the platform"
        if not reason:
            return ""
        problem = f"{address} is {reason}"
        by_address = any(rule.has_address(address, port) for rule in self.allowed)
        is_opened = any(rule.has_name(host, port) for rule in self.allowed)
        by_name = reason not in NEVER_BY_NAME and is_opened
        if not (by_address or by_name):
            return problem
        if not self._is_named(host, port):
            return f"{problem}; it must stand among the {self.named_in}"
        # Where a name leads, its owner decides, who may be anybody.
        is_meant = any(rule.has_address(address, port) for rule in self.hosts)
        if not (is_opened or is_meant):
            return (
                f"{problem}; the address must stand among the {self.named_in}, too, or the name "
                "must be opened and not only the address"
            )
        return ""

    def _is_named(self, host: str, port: int) -> bool:
        return are_naming(self.hosts, host, port)
