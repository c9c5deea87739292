"""Both planes beside each other on one long stream; every byte, event and counter is compared.

    .venv/bin/python -m tests.media.native.soak --steps 100000 --seed 1

Prints one line of JSON; the first difference ends it with the step's name and number.
"""

from __future__ import annotations

import argparse
import json
from random import Random

from tests.media.native.twins import Twins

WEIGHTS = {
    "picture": 8,
    "time": 6,
    "voice": 3,
    "again": 3,
    "ultrasound": 2,
    "nack": 2,
    "feedback": 3,
    "calm": 1,
    "report": 1,
    "answer": 1,
    "pli": 1,
    "wish": 1,
    "pause": 1,
    "target": 1,
    "odd": 1,
    "garbage": 1,
    "jump": 1,
    "leave": 1,
}
"""How often each thing happens, of those that `Twins` can do."""


def soak(steps: int, seed: int) -> Twins:
    """Let ``steps`` things happen to both planes. Raises AssertionError at the first difference."""
    chance = Random(seed)
    twins = Twins()
    names = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=steps)
    for name in names:
        twins.do(name, chance.getrandbits(32))
    return twins


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    twins = soak(arguments.steps, arguments.seed)
    stats = twins.rule_stats()
    told = {"steps": arguments.steps, "seed": arguments.seed, "seconds_of_media": round(twins.seconds)}
    print(
        json.dumps({**told, "received": stats["received"], "sent": stats["sent"], "kept": stats["pool_size"]})
    )


if __name__ == "__main__":
    main()
