"""Streams on their way: relayed, collected to a whole answer, and signs of life in them."""
