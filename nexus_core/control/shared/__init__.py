"""What this process shares with the others of its fleet; imported with [fleet] only."""
