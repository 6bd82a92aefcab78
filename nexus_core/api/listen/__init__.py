"""Listen and serve: HTTP/1 as it is spoken, connections within their limits."""
