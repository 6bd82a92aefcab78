"""Where the dashboard's data comes from: the core in this process, or a Nexus elsewhere."""
