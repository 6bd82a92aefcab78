"""Data sources of the dashboard: the core in this process, or an attached Nexus."""
