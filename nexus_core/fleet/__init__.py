"""State of the backends: switches, health, cooldowns, requests in flight."""
