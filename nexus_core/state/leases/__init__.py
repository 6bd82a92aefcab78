"""Leases: what a process may use of a shared limit before it asks the store again."""
