"""Names and arguments of tool calls, mapped to what a provider takes, and back. Pure."""
