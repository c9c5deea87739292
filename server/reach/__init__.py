"""Reaching people who are not at a screen: Web Push, signed webhooks, presence, the test ring."""
