"""Everything that talks to the server from outside: sdk, device gateways, web client."""
