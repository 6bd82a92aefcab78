"""HTTP towards backends: one small protocol, two engines."""
