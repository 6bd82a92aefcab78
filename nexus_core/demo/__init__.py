"""The demo: simulated backends and a client that keeps them busy; no keys, no network."""
