"""An asyncio client of a Huizhen server: room, media, signals, REST, events and WHIP.

What devices, the self-test and load tests are built on.
"""
