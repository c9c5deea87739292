"""Who is in which room and who may see what; sits on media, knows nothing of consults."""
