"""The configuration file: its keys, how it is found, read, checked and written."""
