"""What subcommands have in common: finding and asking a running Nexus, and showing its answer."""
