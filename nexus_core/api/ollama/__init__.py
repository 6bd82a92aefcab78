"""Ollama's API beside its inference paths: models, version, and what is done elsewhere."""
