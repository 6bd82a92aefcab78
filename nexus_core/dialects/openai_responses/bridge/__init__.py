"""Between the Responses API and the hub's format."""
