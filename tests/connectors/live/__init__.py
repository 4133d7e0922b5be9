"""Live sources against real parts on loopback: real clients, real servers, and the faults that services have."""
