"""Tests of Ollama's API beside inference."""
