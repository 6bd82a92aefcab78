"""Names and arguments of tool calls, mapped for a provider and back. Pure."""
