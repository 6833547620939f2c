"""Which addresses may be called: every outgoing URL before use, every resolved address before it is connected to.

Refusals and their reasons belong here. Who calls what does not, nor does following redirects: the client follows none.
The allowlist admits what would be refused (a server of one's own on loopback or in a private network); it takes
nothing away from public addresses. Networks are those of the IANA special-purpose registries (RFC 6890, kept current).
"""

from __future__ import annotations

import ipaddress
import socket
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}


class ForbiddenAddressError(Exception):
    """An address that must not be called. The text names host and reason, and never more of the URL than that."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} must not be called: {reason}.")
        self.host = host
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """Where a checked URL leads."""

    host: str
    """Lower case, without brackets or a final dot."""
    port: int


_NEVER: dict[Address, str] = {
    ipaddress.ip_address(address): f"{address} is the metadata service of a cloud"
    for address in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack and most others
        "169.254.170.2",  # AWS container credentials
        "169.254.170.23",  # AWS pod identity
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle classic
        "168.63.129.16",  # Azure wire server, a public address
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS pod identity
        "fd20:ce::254",  # Google
    )
}
"""What not even the allowlist admits: one request there hands out the machine's credentials."""

_V4: tuple[tuple[ipaddress.IPv4Network, str], ...] = tuple(
    (ipaddress.IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "the retired 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
    )
)

_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_V6: tuple[tuple[ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.IPv6Network(network), reason)
    for network, reason in (
        ("2001::/32", "a Teredo tunnel"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
    )
)

_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "broadcasthost")
_LOCAL_SUFFIXES = (".localhost", ".localdomain", ".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp")


def reason_against(address: Address) -> str | None:
    """Why an address is not public, or None when it is. Looks into addresses that carry an IPv4 address."""
    if address in _NEVER:
        return _NEVER[address]
    if isinstance(address, ipaddress.IPv4Address):
        return next((f"{address} is {reason}" for network, reason in _V4 if address in network), None)
    for network, reason in _V6:
        if address in network:
            return f"{address} is {reason}"
    embedded = _embedded_v4(address)
    if embedded is not None:
        inner = reason_against(embedded)
        return f"{address} stands for {embedded}: {inner}" if inner else None
    return None if address in _GLOBAL_V6 else f"{address} is outside of the public range"


def _embedded_v4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a mapped, compatible, translated, 6to4, NAT64 or ISATAP address leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    value = int(address)
    last = ipaddress.IPv4Address(value & 0xFFFFFFFF)
    is_compatible = value >> 32 == 0
    is_translated = value >> 32 == 0xFFFF0000  # ::ffff:0:a.b.c.d
    is_isatap = (value >> 32) & 0xFDFFFFFF == 0x00005EFE
    if is_compatible or is_translated or is_isatap or address in _NAT64:
        return last
    return None


def _literal(host: str) -> Address | None:
    """The address that a host is, if it is one in ordinary notation."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _odd_v4(host: str) -> ipaddress.IPv4Address | None:
    """The address that resolvers make of a host in decimal, octal, hexadecimal or short notation."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _plain(host: str) -> str:
    """Lower case, compatibility characters resolved, without brackets, zone's case or a final dot."""
    folded = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower()
    if folded.startswith("[") and folded.endswith("]"):
        folded = folded[1:-1]
    return folded[:-1] if folded.endswith(".") and folded != "." else folded


class Guard:
    """Refuses addresses that are not public, save those that the allowlist names.

    An entry is a host (`localhost`, `192.168.1.20`, `[::1]`), a host with a port (`localhost:11434`), or a suffix
    (`.example.internal`, everything below it). Without a port it admits every port. Metadata services stay refused.
    Raises `ValueError` for an entry that is none of these.
    """

    def __init__(self, allowed_domains: Iterable[str] = ()) -> None:
        self._hosts: set[tuple[str, int | None]] = set()
        self._suffixes: list[tuple[str, int | None]] = []
        for entry in allowed_domains:
            self._allow(entry.strip())

    def _allow(self, entry: str) -> None:
        suffix = entry.startswith(".")
        try:
            literal = ipaddress.ip_address(entry)
        except ValueError:
            try:
                parts = urlsplit(f"//{entry[1:] if suffix else entry}")
                host, port = parts.hostname, parts.port
            except ValueError:
                host, port, parts = None, None, urlsplit("")
            if not host or parts.path or parts.query or parts.fragment or "@" in entry or "*" in entry:
                raise ValueError(
                    f"ORCHESTRATOR_ALLOWED_DOMAINS: {entry!r} is not understood; write host, host:port or .suffix."
                ) from None
        else:
            host, port = str(literal), None
        if suffix:
            self._suffixes.append((f".{_plain(host)}", port))
        else:
            named = _literal(_plain(host))
            self._hosts.add((str(named) if named else _plain(host), port))

    def allows(self, host: str, port: int) -> bool:
        """Whether the allowlist names this host at this port."""
        if (host, None) in self._hosts or (host, port) in self._hosts:
            return True
        return any(host.endswith(suffix) and at in (None, port) for suffix, at in self._suffixes)

    def check_url(self, url: str) -> Target:
        """Where `url` leads, as far as that can be said without resolving its host.

        Raises `ForbiddenAddressError`. Passing is no licence for names: their addresses are checked when resolved.
        """
        if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
            raise ForbiddenAddressError("the URL", "it holds blanks, control characters or backslashes")
        try:
            parts = urlsplit(url)
            given, port = parts.hostname, parts.port
        except ValueError as error:
            raise ForbiddenAddressError("the URL", "host or port cannot be read") from error
        if parts.scheme not in _PORTS:
            raise ForbiddenAddressError(given or "the URL", "only http and https are called")
        if not given:
            raise ForbiddenAddressError("the URL", "it names no host")
        if "@" in parts.netloc:
            raise ForbiddenAddressError(given, "the URL holds a user name")
        if port == 0:
            raise ForbiddenAddressError(given, "port 0 does not exist")
        target = Target(_plain(given), port or _PORTS[parts.scheme])
        self._check_host(target)
        return target

    def _check_host(self, target: Target) -> None:
        host = target.host
        literal = _literal(host)
        if literal is not None:
            self.check_address(host, str(literal), target.port)
            return
        if self.allows(host, target.port):
            return
        odd = _odd_v4(host)
        if odd is not None:
            raise ForbiddenAddressError(host, f"it is {odd} in odd notation")
        if host.rpartition(".")[2].removeprefix("0x").isdigit() or "%" in host:
            raise ForbiddenAddressError(host, "it looks like an address and is none")
        if host in _LOCAL_NAMES or host.endswith(_LOCAL_SUFFIXES):
            raise ForbiddenAddressError(
                host, "it is a local name; add it to ORCHESTRATOR_ALLOWED_DOMAINS if the server is yours"
            )

    def check_address(self, host: str, ip: str, port: int = 443) -> None:
        """That `ip`, which `host` resolved to (or is), may be connected to at `port`.

        Raises `ForbiddenAddressError`, also for text that is no address.
        """
        address = _literal(ip)
        if address is None:
            raise ForbiddenAddressError(host, "it resolved to something that is no address")
        reason = reason_against(address)
        if reason is None:
            return
        plain = _plain(host)
        named = _literal(plain)
        is_metadata = address in _NEVER or (
            isinstance(address, ipaddress.IPv6Address) and _embedded_v4(address) in _NEVER
        )
        if is_metadata or address.is_multicast:
            raise ForbiddenAddressError(host, reason)
        if not self.allows(str(named) if named else plain, port):
            raise ForbiddenAddressError(
                host, f"{reason}; add the host to ORCHESTRATOR_ALLOWED_DOMAINS if the server is yours"
            )


class GuardedResolver(AbstractResolver):
    """Resolves names for the HTTP client and hands on only addresses that may be called.

    The client connects to exactly what this returns, so a name that resolves to another address a moment later
    (DNS rebinding) gains nothing. Hosts that are addresses never come here: `Guard.check_url` has judged them.
    """

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host` that may be called. Raises `ForbiddenAddressError` when there is none, else OSError."""
        kept: list[ResolveResult] = []
        refusal: ForbiddenAddressError | None = None
        for result in await self._inner.resolve(host, port, family):
            try:
                self._guard.check_address(host, result["host"], port)
            except ForbiddenAddressError as error:
                refusal = error
            else:
                kept.append(result)
        if refusal is not None and not kept:
            raise refusal
        return kept

    async def close(self) -> None:
        """Close the resolver beneath."""
        await self._inner.close()
