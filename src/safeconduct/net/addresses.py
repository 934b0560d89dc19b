"""Which addresses may be connected to, checked on the address itself, so that no name can be rebound."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import httpcore2

from safeconduct.errors import Rejected

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA has given out (RFC 4291 §2.4)


def may_connect(address: Address, *, allow_loopback: bool, allow_private: bool) -> bool:
    """Whether the address is public, or of a kind that is allowed by name."""
    address = _embedded(address)
    if address.is_unspecified or address.is_multicast:
        return False
    if address.is_loopback:
        return allow_loopback
    return _is_public(address) or allow_private


def _is_public(address: Address) -> bool:
    # Python calls global what it does not know: old and local forms that lead to IPv4, site-local networks.
    known = isinstance(address, ipaddress.IPv4Address) or address in _GLOBAL_UNICAST
    return known and address.is_global


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, if it is of such a kind; else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses of a name that `may_connect` allows, and to no others."""

    def __init__(self, *, allow_loopback: bool, allow_private: bool) -> None:
        self._allow_loopback = allow_loopback
        self._allow_private = allow_private
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the interface's argument
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first allowed address that answers.

        Raises Rejected "fetch_address_refused" if none is allowed, httpcore2.ConnectError if none answers.
        """
        failure: Exception = httpcore2.ConnectError("The name has no address.")
        for address in await self._allowed(host, port):
            try:
                return await self._sockets.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except httpcore2.ConnectError as error:
                failure = error
        raise failure

    async def _allowed(self, host: str, port: int) -> list[Address]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("The name does not resolve.") from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        allowed = [address for address in addresses if self._may_connect(host, address)]
        if addresses and not allowed:
            raise Rejected("fetch_address_refused", "The URL leads to an address that is not allowed here.")
        return allowed

    def _may_connect(self, host: str, address: Address) -> bool:
        if host == "localhost" and not address.is_loopback:
            return False  # http is allowed for this name, because it stays on this machine
        return may_connect(address, allow_loopback=self._allow_loopback, allow_private=self._allow_private)
