"""OpenAI chat completions: requests, answers, traits of requests."""
