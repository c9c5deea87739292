"""Whoever is on call is found in time: a province's day of requests against the real dispatcher."""
