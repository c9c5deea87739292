"""The dispatcher on a counted clock: drills and load tests, with the real services on the real database."""
