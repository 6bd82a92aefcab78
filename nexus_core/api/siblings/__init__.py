"""Requests about all workers of one port: passed on to the supervisor, and asked by it."""
