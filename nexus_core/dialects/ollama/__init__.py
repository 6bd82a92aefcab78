"""Ollama's API for clients: requests in, answers and errors out."""
