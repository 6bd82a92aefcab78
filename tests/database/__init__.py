"""Tests of PostgreSQL: its connection and its tables."""
