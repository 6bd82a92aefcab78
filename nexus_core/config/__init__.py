"""The configuration file: its keys; finding, reading, checking and saving it."""
