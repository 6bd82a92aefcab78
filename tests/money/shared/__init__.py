"""Tests of the ledger that several Nexuses share."""
