"""Routing: decide which backend serves a request. Pure: snapshots in, a decision out."""
