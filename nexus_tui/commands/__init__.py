"""The subcommands of `nexus`, one module each; none of them loads what draws the dashboard."""
