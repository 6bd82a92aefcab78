"""The demo: simulated backends and a simulated client; no keys, no network."""
