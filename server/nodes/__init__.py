"""Several server processes on one database and one Redis: see DESIGN.md."""
