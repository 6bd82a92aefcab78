"""Sections of nexus.toml that are rooms of their own, and what every section is made of."""
