"""What every inbound API holds of a request, whatever its wire format."""

MAX_MODEL_CHARS = 256  # of a model's name
