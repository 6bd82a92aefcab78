"""`nexus run`: start a coding agent, or any other program, on this Nexus."""
