"""The control API under /nexus/*."""
