"""`python -m loadtest rooms` and `idle`: rooms of light participants, by a scenario file."""
