"""Decide which backend serves a request, and say why. Pure: snapshots in, a decision out."""
