"""Stand-ins for services that cannot run in a test: servers on loopback that answer as the real ones do, read by the real clients."""
