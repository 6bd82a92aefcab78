"""The HTTP/1 server: listening sockets, parsing, connection limits."""
