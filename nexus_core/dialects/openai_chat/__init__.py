"""OpenAI's API as a dialect: requests, answers, streams and errors."""
