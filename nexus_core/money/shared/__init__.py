"""The ledger that several Nexuses share: rows wait in each one's file until PostgreSQL has them."""
