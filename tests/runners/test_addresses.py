"""The address policy, as tables."""

from ipaddress import ip_address

import pytest

from treadle.runners.addresses import AddressPolicy, Lists

DENIED = [
    ("169.254.169.254", "metadata"),
    ("169.254.0.1", "link-local"),
    ("168.63.129.16", "metadata"),
    ("100.100.100.200", "metadata"),
    ("192.0.0.192", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("255.255.255.255", "broadcast"),
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.8.9.10", "loopback"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "carries 127.0.0.1, which is a loopback"),
    ("::ffff:a9fe:a9fe", "carries 169.254.169.254, which is a cloud"),
    ("::127.0.0.1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "metadata"),
    ("64:ff9b:1::a9fe:a9fe", "metadata"),
    ("2002:a9fe:a9fe::1", "metadata"),
    ("::ffff:0:169.254.169.254", "metadata"),
    ("10.96.0.1", "API server"),
    ("::ffff:10.96.0.1", "API server"),
    ("10.0.0.7", "node"),
    ("not-an-address", "no IP address"),
]

ALLOWED = ["10.244.1.5", "192.168.1.1", "8.8.8.8", "100.64.0.1", "2606:4700::1111", "fd12::7"]


def a_policy(**changes: object) -> AddressPolicy:
    members = {
        "api_server": frozenset({ip_address("10.96.0.1")}),
        "nodes": frozenset({ip_address("10.0.0.7")}),
    }
    return AddressPolicy(**{**members, **changes})


@pytest.mark.parametrize(("address", "words"), DENIED)
def test_what_nobody_may_reach_is_denied_by_a_sentence(address: str, words: str) -> None:
    verdict = a_policy().verdict(address)
    assert verdict is not None
    assert words in verdict
    assert verdict.startswith(address.partition("%")[0])


@pytest.mark.parametrize("address", ALLOWED)
def test_cluster_and_public_addresses_are_allowed(address: str) -> None:
    assert a_policy().verdict(address) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_desk_reaches_itself_whatever_the_lists_say(address: str) -> None:
    lists = (Lists.of("the installation", allow=["10.0.0.0/8"]),)
    assert AddressPolicy(loopback_allowed=True, lists=lists).verdict(address) is None


def test_a_deny_list_is_stronger_than_an_allow_list() -> None:
    lists = Lists.of("the installation", allow=["10.0.0.0/8"], deny=["10.1.0.0/16"])
    policy = a_policy(lists=(lists,))
    assert policy.verdict("10.2.0.1") is None
    assert policy.verdict("10.1.0.1") == (
        "10.1.0.1 is in 10.1.0.0/16, which the installation denies"
    )
    assert policy.verdict("8.8.8.8") == (
        "8.8.8.8 is in none of the networks that the installation allows"
    )


def test_a_namespace_can_only_narrow() -> None:
    policy = a_policy(
        lists=(
            Lists.of("the installation", deny=["8.8.8.0/24"]),
            Lists.of("the namespace team-a", allow=["8.8.0.0/16"]),
        )
    )
    assert policy.verdict("8.8.4.4") is None
    assert policy.verdict("8.8.8.8") is not None
    assert "namespace team-a" in (policy.verdict("9.9.9.9") or "")


def test_no_list_opens_what_is_denied_for_everybody() -> None:
    policy = a_policy(lists=(Lists.of("the installation", allow=["0.0.0.0/0", "::/0"]),))
    assert policy.verdict("169.254.169.254") is not None
    assert policy.verdict("10.0.0.7") is not None
    assert policy.verdict("10.0.0.8") is None


def test_lists_refuse_text_that_is_no_network() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        Lists.of("the installation", deny=["example.com"])
