"""Google's Gemini API for clients: requests in, answers and errors out."""
