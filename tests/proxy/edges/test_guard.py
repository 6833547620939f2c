"""The guard: no spelling of a private address gets through, and what a user allowed does."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from hypothesis import given
from hypothesis import strategies as st

from proxy.guard import ForbiddenAddressError, Guard, GuardedResolver, Target, reason_against
from tests.fake_upstream import FakeUpstream

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0.0.0.0",
        "0",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::1]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2606:4700::5efe:10.0.0.1]",
        "[fe80::1%25eth0]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[4000::1]",
        "localhost",
        "LOCALHOST.",
        "foo.localhost",
        "printer.local",
        "metadata.google.internal",
        "1.2.3",
        "1.2.3.4.5",
        "08.8.8.8",
    ],
)
def test_refuses(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        Guard().check_url(f"https://{host}/v1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://openrouter.ai/api/v1", Target("openrouter.ai", 443)),
        ("http://EXAMPLE.com:8080/v1", Target("example.com", 8080)),
        (f"https://{PUBLIC}/v1", Target(PUBLIC, 443)),
        ("https://[2606:4700::1111]/v1", Target("2606:4700::1111", 443)),
        ("https://[64:ff9b::8.8.8.8]/v1", Target("64:ff9b::8.8.8.8", 443)),
    ],
)
def test_admits_public_addresses(url: str, expected: Target) -> None:
    assert expected == Guard().check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/v1",
        "https:///v1",
        "https://user:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com\n/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
    ],
)
def test_refuses_urls_that_are_read_in_two_ways(url: str) -> None:
    with pytest.raises(ForbiddenAddressError) as caught:
        Guard().check_url(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "admitted", "refused"),
    [
        ("localhost", "http://localhost:11434/v1", "http://127.0.0.1:11434/v1"),
        ("localhost:11434", "http://localhost:11434/v1", "http://localhost:11435/v1"),
        ("127.0.0.1", "http://127.0.0.1:8000/v1", "http://127.0.0.2:8000/v1"),
        ("[::1]:8000", "http://[::1]:8000/v1", "http://[::1]:8001/v1"),
        ("::1", "http://[::1]:8001/v1", "http://[::2]:8001/v1"),
        (".lab.internal", "http://gpu.lab.internal/v1", "http://lab.internal/v1"),
        (".lab.internal", "http://a.b.lab.internal/v1", "http://evillab.internal/v1"),
        ("192.168.1.20:8000", "http://192.168.1.20:8000/v1", "http://192.168.1.20/v1"),
    ],
)
def test_the_allowlist_admits_exactly_what_it_names(entry: str, admitted: str, refused: str) -> None:
    guard = Guard([entry])

    guard.check_url(admitted)
    with pytest.raises(ForbiddenAddressError):
        guard.check_url(refused)


def test_metadata_is_refused_even_when_listed() -> None:
    guard = Guard(["169.254.169.254", "mine.example", "::ffff:169.254.169.254"])

    for host, ip in [
        ("169.254.169.254", "169.254.169.254"),
        ("mine.example", "169.254.169.254"),
        ("mine.example", "::ffff:a9fe:a9fe"),
        ("mine.example", "64:ff9b::a9fe:a9fe"),
    ]:
        with pytest.raises(ForbiddenAddressError, match="metadata"):
            guard.check_address(host, ip)
    guard.check_address("mine.example", "10.0.0.7")


@pytest.mark.parametrize("entry", ["*", "http://localhost", "local host/", "user@host", ".", "host:port", "[::1"])
def test_entries_that_are_not_understood_are_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="ORCHESTRATOR_ALLOWED_DOMAINS"):
        Guard([entry])


@given(st.ip_addresses())
def test_no_address_that_python_calls_non_global_is_admitted(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast:
        nat64 = address in ipaddress.ip_network("64:ff9b::/96") if address.version == 6 else False
        assert nat64 or reason_against(address) is not None or getattr(address, "ipv4_mapped", None) is not None


private_v4 = st.one_of(
    *(
        st.ip_addresses(network=network)
        for network in ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")
    )
)


@given(private_v4)
def test_every_wrapping_of_a_private_address_is_refused(address: ipaddress.IPv4Address) -> None:
    value = int(address)
    a, b, c, d = address.packed
    spellings = [
        str(value),
        hex(value),
        f"0{value:o}",
        f"{a}.{value & 0xFFFFFF}",
        f"{a}.{b}.{(c << 8) | d}",
        ".".join(hex(part) for part in address.packed),
        ".".join(f"0{part:o}" for part in address.packed),
        f"[::ffff:{address}]",
        f"[64:ff9b::{address}]",
        f"[{ipaddress.IPv6Address((0x2002 << 112) | (value << 80))}]",
        f"[{ipaddress.IPv6Address(0xFFFF0000 << 32 | value)}]",
        f"[{ipaddress.IPv6Address(value)}]",
    ]
    for spelling in spellings:
        with pytest.raises(ForbiddenAddressError):
            Guard().check_url(f"http://{spelling}/")


@given(st.text(max_size=40))
def test_any_text_is_judged_without_another_error(text: str) -> None:
    for url in (text, f"https://{text}/v1"):
        with contextlib.suppress(ForbiddenAddressError):
            Guard().check_url(url)


@given(st.ip_addresses(v=4).filter(lambda ip: ip.is_global and not ip.is_multicast))
def test_public_addresses_pass_save_metadata(address: ipaddress.IPv4Address) -> None:
    retired = address in ipaddress.ip_network("192.88.99.0/24") or address in ipaddress.ip_network("192.0.0.0/24")
    if str(address) != "168.63.129.16" and not retired:
        assert reason_against(address) is None


class Answers(AbstractResolver):
    """A resolver with prepared answers, one list a question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        ips = self.answers.pop(0)
        return [ResolveResult(hostname=host, host=ip, port=port, family=socket.AF_INET, proto=0, flags=0) for ip in ips]

    async def close(self) -> None:
        self.answers.clear()


@pytest.mark.anyio
async def test_a_name_that_resolves_to_loopback_is_never_connected_to() -> None:
    async with FakeUpstream() as up:
        resolver = GuardedResolver(Guard(), Answers(["127.0.0.1"]))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as client:
            with pytest.raises(ForbiddenAddressError, match=r"rebind\.example.*loopback"):
                await client.get(f"http://rebind.example:{up.port}/v1/models")
        assert up.connection_count == 0


@pytest.mark.anyio
async def test_only_the_addresses_that_may_be_called_are_handed_on() -> None:
    resolver = GuardedResolver(Guard(), Answers(["10.0.0.1", PUBLIC, "127.0.0.1"]))

    results = await resolver.resolve("mixed.example", 443)

    assert [result["host"] for result in results] == [PUBLIC]


@pytest.mark.anyio
async def test_an_allowed_local_server_is_reached_by_name() -> None:
    async with FakeUpstream(models=["m"]) as up:
        guard = Guard([f"localhost:{up.port}"])
        url = f"http://localhost:{up.port}/v1/models"
        guard.check_url(url)
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(guard, ThreadedResolver()))
        async with aiohttp.ClientSession(connector=connector) as client, client.get(url) as response:
            assert response.status == 200
