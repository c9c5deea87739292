"""The clinical application, and the one place where everything is put together."""
