"""Authentication of requests to backends."""
