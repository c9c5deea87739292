"""Who is on call, whom to ring, and when the system acts by itself."""
