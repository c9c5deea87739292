"""A network of one's own: a namespace that holds nothing but ``lo``.

Browsers keep to 127.0.0.1 only where no other address exists, and no scenario can reach outside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

MARK = "HUIZHEN_OWN_NETWORK"


def enter_own_network(module: str, arguments: Sequence[str]) -> None:
    """Run ``python -m module arguments`` again inside a new network namespace, unless this is already one.

    Does not return when it has to start anew. An unprivileged user gets a user namespace beside it.
    """
    if os.environ.get(MARK):
        return
    flags = ["--net"] if os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]
    command = [
        "unshare",
        *flags,
        "sh",
        "-c",
        'ip link set lo up && exec "$@"',
        "own-network",
        sys.executable,
        "-m",
        module,
        *arguments,
    ]
    os.execvpe("unshare", command, {**os.environ, MARK: "1"})  # noqa: S606
