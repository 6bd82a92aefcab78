"""View model of the dashboard, as plain values."""
