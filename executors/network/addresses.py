"""Which addresses are the public internet's, and why the others are not.

The lists are our own, since what ``ipaddress`` calls private differs between versions of Python.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOSED = {
    "a loopback address": "127.0.0.0/8 ::1/128",
    "no address of a host": "0.0.0.0/8 240.0.0.0/4 ::/128",
    "a link-local or metadata address": (
        "169.254.0.0/16 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 fe80::/10 fec0::/10 "
        "fd00:ec2::254/128 fd20:ce::254/128"
    ),
    "a multicast address": "224.0.0.0/4 ff00::/8",
    "a private address": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7",
    "an address for documentation and tests": (
        "192.0.0.0/24 192.0.2.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 "
        "3fff::/20"
    ),
    "an address that stands for another": (
        "192.88.99.0/24 2001::/23 2002::/16 64:ff9b::/96 64:ff9b:1::/48"
    ),
}
"""Reason -> networks; the first one that holds an address is its reason."""
NEVER_BY_NAME = (
    "a loopback address",
    "no address of a host",
    "a link-local or metadata address",
    "a multicast address",
)
"""An operator who allows a name has not allowed that it leads here."""
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")

_CLOSED = [
    (ipaddress.ip_network(network), reason)
    for reason, networks in CLOSED.items()
    for network in networks.split()
]


def parse_address(text: str) -> Address:
    """Return the address; an IPv4 one in IPv6 form as what it is. Raises ValueError."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return address.ipv4_mapped or address
    return address


def reason_against(address: Address) -> str:
    """Return what makes an address one that runs must not reach; empty for a public one."""
    for network, reason in _CLOSED:
        if address in network:
            return reason
    if isinstance(address, ipaddress.IPv6Address) and address not in PUBLIC_V6:
        return "not a public address"
    return ""


def is_public(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Return whether every address of network is a public one."""
    if network.version == 6 and not network.subnet_of(PUBLIC_V6):
        return False
    return not any(
        network.version == closed.version and network.overlaps(closed) for closed, _ in _CLOSED
    )
