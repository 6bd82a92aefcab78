"""Between the Gemini API for clients and the hub's chat requests, answers and chunks."""
