"""Operator commands on a running Nexus: their values and their execution."""
