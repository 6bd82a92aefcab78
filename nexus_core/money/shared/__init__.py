"""The ledger that several Nexuses, or several workers of one, share."""
