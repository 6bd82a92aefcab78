"""The shapes of requests and answers: pure functions, no network, no clock."""
