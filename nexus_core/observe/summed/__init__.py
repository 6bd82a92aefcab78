"""What several processes counted, together."""
