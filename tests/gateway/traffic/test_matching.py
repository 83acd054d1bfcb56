from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.call import Call
from gateway.traffic.matching import Patterns, When, client_address, source, tenant_of
from gateway.traffic.sections import WhenSection
from tests.gateway.conftest import MakeCall

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def forwarded(make_call: MakeCall, peer: str, *values: bytes) -> Call:
    return replace(make_call(metadata=tuple((b"x-forwarded-for", value) for value in values)), peer=peer)


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", (b"198.51.100.1",), "192.0.2.7"),  # nobody asked the client
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", (b"198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", (b"1.1.1.1, 198.51.100.1, 10.0.0.9",), "198.51.100.1"),
        ("10.0.0.1", (b"1.1.1.1", b"198.51.100.1,10.9.9.9"), "198.51.100.1"),
        ("10.0.0.1", (b"10.0.0.3, 10.0.0.2",), "10.0.0.3"),  # proxies alone
        ("10.0.0.1", (b"198.51.100.1, unknown",), ""),  # whom the proxy serves is not known, and is not the proxy
        ("10.0.0.1", (b"198.51.100.1, \xff, 10.0.0.2",), ""),
        ("10.0.0.1", (b"nonsense, 198.51.100.1",), "198.51.100.1"),  # what the client has written does not matter
        ("10.0.0.1", (b"198.51.100.1,, ", b""), "198.51.100.1"),
        ("10.0.0.1", (b"",), "10.0.0.1"),
        ("10.0.0.1", (b"198.51.100.1:5555",), "198.51.100.1"),
        ("fd00::1", (b"[2001:db8::1]:443",), "2001:db8::1"),
        ("fd00::1", (b"fe80::1%" + b"z" * 5000,), "fe80::1"),
        ("::ffff:10.0.0.1", (b"::ffff:198.51.100.1",), "198.51.100.1"),
        ("::ffff:192.0.2.7", (), "192.0.2.7"),
        ("", (b"198.51.100.1",), ""),
        ("unix:", (b"198.51.100.1",), "unix:"),
    ],
)
def test_the_client_s_address(make_call: MakeCall, peer: str, values: tuple[bytes, ...], expected: str) -> None:
    assert client_address(forwarded(make_call, peer, *values), PROXIES) == expected


def test_without_trusted_proxies_nobody_is_believed(make_call: MakeCall) -> None:
    assert client_address(forwarded(make_call, "10.0.0.1", b"198.51.100.1"), ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("principal", "values", "header", "expected"),
    [
        ("", (), b"x-tenant", ""),
        ("", (b"red",), None, ""),
        ("", (b"red",), b"x-tenant", "red"),
        ("", (b"forged", b"red"), b"x-tenant", "red"),
        ("blue", (b"red",), b"x-tenant", "blue"),
        ("", (b"\xff",), b"x-tenant", "\ufffd"),
    ],
)
def test_the_tenant(
    make_call: MakeCall, principal: str, values: tuple[bytes, ...], header: bytes | None, expected: str
) -> None:
    call = make_call(metadata=tuple((b"x-tenant", value) for value in values))
    assert tenant_of(replace(call, principal=principal), header) == expected


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("team-*", ["team-", "team-a"], ["team", "a-team-a", "Team-a"]),
        ("v?", ["v1"], ["v", "v12"]),
        ("[ab]", ["a", "b"], ["c", "[ab]"]),
        ("a.b", ["a.b"], ["axb"]),
        ("", [""], ["a"]),
    ],
)
def test_patterns_are_the_shell_s(pattern: str, fits: list[str], does_not: list[str]) -> None:
    patterns = Patterns((pattern, "other"))
    assert all(patterns.fit(text) for text in (*fits, "other"))
    assert not any(patterns.fit(text) for text in does_not)


@given(st.text(max_size=8).filter(lambda text: not set(text) & set("*?[")))
def test_a_text_without_wildcards_fits_itself_alone(text: str) -> None:
    assert Patterns((text,)).fit(text)
    assert not Patterns((text,)).fit(text + "x")
    assert not Patterns(()).fit(text)


def holds(when: WhenSection, call: Call) -> bool:
    return When(when, b"x-tenant").holds(call)


def test_headers_fit_by_value_and_all_of_them(make_call: MakeCall) -> None:
    when = WhenSection(headers={"X-Channel": "beta*", "x-region": "eu"})
    beta, eu, us = (b"x-channel", b"beta-2"), (b"x-region", b"eu"), (b"x-region", b"us")
    assert holds(when, make_call(metadata=(beta, eu)))
    assert holds(when, make_call(metadata=(us, beta, eu)))  # one of several
    assert not holds(when, make_call(metadata=(beta, us)))
    assert not holds(when, make_call(metadata=(beta,)))
    assert not holds(when, make_call())


def test_tenants_fit_and_nobody_is_no_tenant(make_call: MakeCall) -> None:
    red = make_call(metadata=((b"x-tenant", b"red"),))
    assert holds(WhenSection(tenants=("blue", "r*")), red)
    assert not holds(WhenSection(tenants=("blue",)), red)
    assert holds(WhenSection(tenants=("*",)), red)
    assert not holds(WhenSection(tenants=("*",)), make_call())


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        (b"api.example", True),
        (b"API.Example:8080", True),
        (b"api.example:", True),
        (b"api.example.", True),  # the same name, said in full
        (b"api.example.:443", True),
        (b"www.api.example", True),
        (b"example", False),
        (b"[2001:db8::1]:80", True),
        (b"[2001:db8::1]", True),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_hosts_fit_without_port_and_in_any_case(make_call: MakeCall, host: bytes, fits: bool) -> None:
    when = WhenSection(hosts=("api.EXAMPLE", "*.example", "[[]2001:db8::1]"))
    assert holds(when, make_call(metadata=((b"host", host),))) is fits


def test_without_a_host_no_pattern_of_hosts_fits(make_call: MakeCall) -> None:
    assert not holds(WhenSection(hosts=("a*",)), make_call())


def test_a_prefix_is_all_of_what_stands_before(make_call: MakeCall) -> None:
    when, call = WhenSection(path_prefix="/team-a"), make_call()
    assert holds(when, replace(call, prefix="/team-a"))
    assert not holds(when, replace(call, prefix="/team-ab"))
    assert not holds(when, call)
    assert holds(WhenSection(), replace(call, prefix="/team-a"))


def found(by: str, call: Call) -> bytes | None:
    find = source(by, b"x-tenant", PROXIES)
    assert find is not None
    return find(call)


def test_what_a_client_is_known_by(make_call: MakeCall) -> None:
    call = replace(
        make_call(
            metadata=(
                (b"x-user", b"anna"),
                (b"x-tenant", b"red"),
                (b"cookie", b"a=1; session=abc ;b=2"),
                (b"cookie", b"late=3"),
                (b"x-forwarded-for", b"198.51.100.1"),
            )
        ),
        peer="10.0.0.1",
    )
    assert found("header:x-user", call) == b"anna"
    assert found("tenant", call) == b"red"
    assert found("peer", call) == b"198.51.100.1"
    assert found("cookie:session", call) == b"abc"
    assert found("cookie:late", call) == b"3"


@pytest.mark.parametrize("by", ["header:x-user", "tenant", "peer", "cookie:session"])
@pytest.mark.parametrize("metadata", [(), ((b"x-user", b""), (b"cookie", b"session=; session2=1; sessio"))])
def test_what_a_request_does_not_have_or_leaves_empty_is_no_key(
    make_call: MakeCall, by: str, metadata: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert found(by, make_call(metadata=metadata)) is None


def test_a_sequence_needs_no_source() -> None:
    assert source("sequence", None, ()) is None
