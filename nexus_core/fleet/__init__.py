"""What is known of the backends: switches, health, cooldowns, work in flight."""
