"""Between the Messages API and chat completions, for backends of other formats."""
