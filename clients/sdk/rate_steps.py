"""How a picture's bit rate follows what its sender's own line carries: in steps, down at once, up one by one.

Each change costs a key frame, because an encoder is opened anew; so a change must be worth one. No I/O.
"""

from __future__ import annotations

RATE_STEP = (
    0.8  # of the step above: a cap never reaches far beyond what is sent, at most one and a half times
)
MOST_STEPS = 10  # to a tenth of the full rate; below it there is no picture worth sending
SPARE_DOWN = 0.9  # of the cap may be used: key frames and what is sent again come on top
SPARE_UP = 1.1  # times its rate must be carried before a step up is taken


class RateSteps:
    """The rate now, bits per second; `limited` for every cap that is told.

    :param full: where the line has room.
    """

    def __init__(self, full: int) -> None:
        self._steps = [round(full * RATE_STEP**index) for index in range(MOST_STEPS + 1)]
        self._index = 0

    @property
    def current(self) -> int:
        return self._steps[self._index]

    def limited(self, cap: int) -> bool:
        """The line carries ``cap`` bits per second; True when another rate is due.

        One step up at a time, as the cap was found while less was sent.
        """
        before = self._index
        if self.current > cap:
            fitting = (index for index, rate in enumerate(self._steps) if rate <= SPARE_DOWN * cap)
            self._index = next(fitting, MOST_STEPS)
        elif before and SPARE_UP * self._steps[before - 1] <= cap:
            self._index -= 1
        return self._index != before
