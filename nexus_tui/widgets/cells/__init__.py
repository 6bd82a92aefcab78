"""Columns of each list, and what stands in the cells of its rows."""
