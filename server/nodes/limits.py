"""The times of several nodes, with their reasons."""

from __future__ import annotations

NODE_BEAT_S = 4.0
"""How often a node writes that it lives: one small transaction."""

NODE_DEAD_S = 15.0
"""Three beats missed, and the clocks of two nodes may differ by some seconds: its rooms may be taken."""

LOOK_S = 2.0
"""How often rings and changes are looked for in the database while the bus is away."""

LOOK_BACK_S = 10.0
"""How far back each look goes: another node's clock may be behind, and its transaction may have waited."""

TOLD_MAX = 4096
"""What was told by looking is remembered, so that it is told once; the oldest goes first."""

LOOK_MAX = 500
"""Rings and consults of one look: what a province begins in ten seconds is far less."""
