"""Real packets between real namespaces over the bridge."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from loadtest.impair import NotRootError, ip
from loadtest.impair_check import measure
from loadtest.impair_line import Conditions
from loadtest.impair_network import Network
from loadtest.network import MARK

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    if not os.environ.get(MARK):
        pytest.fail("needs a network of its own: make test, or .ci/in_own_network .venv/bin/pytest")
    with Network(["near", "far"], two_ways=["near"]) as one:
        yield one


@pytest.fixture(autouse=True)
def _clean_lines(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "network" in request.fixturenames:
        request.getfixturevalue("network").set_both("far", Conditions())


def test_the_bridge_costs_little_and_loses_nothing_at_10_mbits(network: Network) -> None:
    cost = measure(network, "near", seconds=1.0)
    assert cost.sent > 1000
    assert cost.lost == 0
    assert cost.p50_ms < 2


def test_delay_loss_and_rate_are_those_asked_for(network: Network) -> None:
    network.set_both("far", Conditions(delay_ms=50, loss_percent=10))
    before = network.counters("far")["up"]["lost"]
    cost = measure(network, "far", seconds=1.0)
    assert 50 <= cost.p50_ms < 60
    assert cost.lost == network.counters("far")["up"]["lost"] - before
    assert 0.05 < cost.lost / cost.sent < 0.15


def test_a_thin_line_fills_its_queue_and_drops(network: Network) -> None:
    network.set_both("far", Conditions(rate_kbps=1000, queue_ms=200))
    cost = measure(network, "far", seconds=1.0, kbps=2000)
    assert cost.lost / cost.sent > 0.25
    assert 150 < cost.p99_ms < 260  # half a second where the queue had no end


def test_one_line_never_touches_another(network: Network) -> None:
    network.set_both("far", Conditions(cut=True))
    assert measure(network, "near", seconds=0.2).lost == 0


def test_another_address_reaches_the_server_and_the_old_one_is_gone(network: Network) -> None:
    old = network.address("far")
    new = network.change_address("far")
    assert new != old
    assert measure(network, "far", seconds=0.2).lost == 0


def test_a_second_interface_takes_over_when_the_first_is_lost_and_back(network: Network) -> None:
    first = network.address("near")
    for _ in range(2):
        network.second_way("near")
        before = network.counters("near")["up"]["sent"]
        assert measure(network, "near", seconds=0.1).lost == 0
        assert network.change_interface("near") == network.address("near")
        assert measure(network, "near", seconds=0.1).lost == 0
        assert network.counters("near")["up"]["sent"] > before
    assert network.address("near") == first


def test_what_comes_from_another_networks_address_goes_nowhere(network: Network) -> None:
    before = network.counters("near")["strays"]
    ip("-n", network.namespace("near"), "addr", "add", "10.77.9.9/32", "dev", "lo")
    strange = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.bind(('10.77.9.9', 0)); s.sendto(b'x', ('10.77.0.1', 9))"
    )
    subprocess.run(network.inside("near", sys.executable, "-c", strange), check=True)
    assert network.counters("near")["strays"] > before


def test_a_peer_reaches_nothing_but_the_server(network: Network) -> None:
    before = network.counters("near")["strays"]
    stray = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.77.2.2', 9))"
    subprocess.run(network.inside("near", sys.executable, "-c", stray), check=True)
    assert network.counters("near")["strays"] > before


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotRootError, match="root"):
        Network(["a"])
