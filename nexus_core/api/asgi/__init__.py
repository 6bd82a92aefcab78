"""ASGI messages: types, bodies within their limits, content encodings."""
