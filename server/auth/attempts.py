"""How many wrong passwords are too many. A function of what happened and ``now``; no clock inside."""

from __future__ import annotations

from collections import OrderedDict, deque


class Attempts:
    """Remembers recent failures per key (a user name, an address).

    :param limit: failures within the window after which the key has to wait.
    :param window_s: how long a failure counts, seconds.
    :param keys: keys remembered at once; the one that failed longest ago is forgotten first.
    """

    def __init__(self, limit: int, window_s: float, keys: int) -> None:
        self._limit = limit
        self._window_s = window_s
        self._keys = keys
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until ``key`` may try again; 0 when it may now."""
        times = self._failures.get(key)
        if times is None or len(times) < self._limit:
            return 0.0
        return max(0.0, times[0] + self._window_s - now)

    def failed(self, key: str, now: float) -> None:
        times = self._failures.setdefault(key, deque(maxlen=self._limit))
        times.append(now)
        self._failures.move_to_end(key)
        if len(self._failures) > self._keys:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)
