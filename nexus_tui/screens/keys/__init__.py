"""The Keys tab, and the dialog with a secret."""
