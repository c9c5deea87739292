"""`python -m loadtest relay`: what a forwarded packet costs, beside the floor and beside Janus."""
