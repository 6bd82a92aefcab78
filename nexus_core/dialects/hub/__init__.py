"""The shape in which two wire formats meet: OpenAI's chat, as it is checked and built here."""
