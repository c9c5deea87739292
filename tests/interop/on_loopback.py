"""Runs a Python program that uses aioice with 127.0.0.1 as its ICE address: ``on_loopback.py PROGRAM ARGS``.

aioice leaves loopback addresses out; in a network namespace that holds nothing but ``lo`` there is no other.
"""

from __future__ import annotations

import runpy
import sys

from aioice import ice


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"]


if __name__ == "__main__":
    ice.get_host_addresses = _loopback_only
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
