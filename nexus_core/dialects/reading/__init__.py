"""Reading requests of clients, in any format: the JSON object, fields, tokens, prefixes."""
