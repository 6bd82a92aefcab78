"""What the Costs tab shows: the report that is polled, and lines that a person asks for."""
