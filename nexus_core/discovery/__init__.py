"""Zero-config: find servers that can be used, on this machine and on the network."""
