"""The engine of our own: what only it promises, and with what it is measured."""
