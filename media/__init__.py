"""Moves, shapes and keeps streams; knows tracks and transports, never rooms or people."""
