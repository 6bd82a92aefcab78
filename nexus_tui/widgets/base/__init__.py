"""Base widgets: repainting lines, lists, columns, bars."""
