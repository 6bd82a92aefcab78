"""The hub format between two dialects: OpenAI's chat, validated and built here."""
