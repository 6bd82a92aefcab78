"""Data files of the package: OpenAI's tokenizer vocabularies."""
