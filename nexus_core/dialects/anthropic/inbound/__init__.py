"""Anthropic's Messages API for clients: requests in, answers and errors out."""
