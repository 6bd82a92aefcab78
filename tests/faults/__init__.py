"""An upstream that misbehaves as scripted, for tests."""
