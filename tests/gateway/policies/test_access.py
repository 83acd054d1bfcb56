import re

import pytest
from msgspec.structs import replace

from gateway.core.errors import Forbidden
from gateway.policies.access import Access, networks
from gateway.traffic.sections import AccessSection, TrafficSection
from tests.gateway.conftest import MakeCall

HOME = AccessSection(networks=("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"))
TEAMS = AccessSection(tenants=("team-*", "ops"))


def refusal(access: Access, make_call: MakeCall, peer: str = "10.0.0.1", **more: object) -> str:
    """What a client from `peer` is told; empty if it may call."""
    try:
        access.check(replace(make_call(**more), peer=peer))
    except Forbidden as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("peer", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::5", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db9::1", False),
    ],
)
def test_networks_let_in_and_keep_out(make_call: MakeCall, peer: str, inside: bool) -> None:
    allow = Access("shop", HOME, None, TrafficSection())
    deny = Access("shop", None, HOME, TrafficSection())
    for _ in range(2):  # the second time from memory
        assert (refusal(allow, make_call, peer) == "") is inside
        assert (refusal(deny, make_call, peer) == "") is not inside


@pytest.mark.parametrize("peer", ["", "unknown", "10.0.0.1.evil"])
def test_who_has_no_address_stays_out_where_addresses_count(make_call: MakeCall, peer: str) -> None:
    for allow, deny in ((HOME, None), (None, HOME)):
        assert refusal(Access("shop", allow, deny, TrafficSection()), make_call, peer)
    assert not refusal(Access("shop", None, TEAMS, TrafficSection()), make_call, peer)


def test_what_a_trusted_proxy_says_of_the_client_counts(make_call: MakeCall) -> None:
    traffic = TrafficSection(trusted_proxies=("172.16.0.0/12",))
    access = Access("shop", None, HOME, traffic)
    forwarded = ((b"x-forwarded-for", b"8.8.8.8, 10.0.0.9"),)
    assert refusal(access, make_call, "172.16.0.1", metadata=forwarded)
    assert not refusal(access, make_call, "8.8.4.4", metadata=forwarded)  # no proxy of ours


def test_tenants_let_in_and_keep_out(make_call: MakeCall) -> None:
    traffic = TrafficSection(tenant_header="X-Tenant")
    allow, deny = Access("shop", TEAMS, None, traffic), Access("shop", None, TEAMS, traffic)
    for tenant, inside in ((b"team-a", True), (b"ops", True), (b"ops2", False), (b"Team-a", False)):
        metadata = ((b"x-tenant", tenant),)
        assert (refusal(allow, make_call, metadata=metadata) == "") is inside
        assert (refusal(deny, make_call, metadata=metadata) == "") is not inside


def test_nobody_in_particular_fits_no_pattern(make_call: MakeCall) -> None:
    everybody = AccessSection(tenants=("*",))
    assert "nobody in particular" in refusal(Access("shop", everybody, None, TrafficSection()), make_call)
    assert not refusal(Access("shop", None, everybody, TrafficSection()), make_call)


def test_every_list_counts_and_deny_counts_more(make_call: MakeCall) -> None:
    traffic = TrafficSection(tenant_header="x-tenant")
    allow = AccessSection(networks=("10.0.0.0/8",), tenants=("team-*",))
    deny = AccessSection(networks=("10.6.6.0/24",), tenants=("team-x",))
    access = Access("shop", allow, deny, traffic)
    for peer, tenant, rule in (
        ("10.0.0.1", b"team-a", ""),
        ("11.0.0.1", b"team-a", "allow.networks"),
        ("10.0.0.1", b"other", "allow.tenants"),
        ("10.6.6.6", b"team-a", "deny.networks"),
        ("10.0.0.1", b"team-x", "deny.tenants"),
    ):
        said = refusal(access, make_call, peer, metadata=((b"x-tenant", tenant),))
        assert said.endswith(f"policies.{rule}") if rule else not said


def test_a_refusal_names_the_rule_and_not_the_networks(make_call: MakeCall) -> None:
    said = refusal(Access("shop", HOME, None, TrafficSection()), make_call, "192.0.2.8")
    assert said == (
        "route 'shop' takes no calls from your address; its operator can change that in policies.allow.networks"
    )
    assert not re.search(r"\d", said)


def test_networks_are_read_once() -> None:
    assert [str(network) for network in networks(("10.0.0.1", "2001:db8::/32"))] == ["10.0.0.1/32", "2001:db8::/32"]
