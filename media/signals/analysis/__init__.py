"""Help for who reads a signal, never a diagnosis: quality, heart beats, rate, alarms. No I/O."""
