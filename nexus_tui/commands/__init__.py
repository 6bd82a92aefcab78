"""Subcommands of `nexus`, one module each; none of them imports the dashboard."""
