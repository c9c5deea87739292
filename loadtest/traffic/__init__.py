"""Light participants: thousands of media transports in one thread of C, their signaling in asyncio."""
