"""Where a gateway's samples come from: records, live feeds, a generator."""
