"""Files that ship with the package: the vocabularies by which OpenAI's models count tokens."""
