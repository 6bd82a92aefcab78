"""Between Ollama's API and the hub's, for backends of other formats."""
