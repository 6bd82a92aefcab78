"""Anthropic's Messages API: OpenAI's chat translated into it and back; for clients, `inbound`."""
