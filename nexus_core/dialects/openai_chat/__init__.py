"""OpenAI's chat completions: requests, answers, and what a request shows of its needs."""
