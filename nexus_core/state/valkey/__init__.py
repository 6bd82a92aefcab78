"""What processes share in a Valkey or Redis server; imported where there is a [fleet] only."""
