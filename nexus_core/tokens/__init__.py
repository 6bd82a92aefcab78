"""Count tokens offline: texts, chats, images, with OpenAI's own vocabularies."""
