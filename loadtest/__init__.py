"""Load tests: scenarios, traffic, measuring, report."""
