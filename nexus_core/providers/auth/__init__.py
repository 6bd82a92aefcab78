"""How a backend's key becomes headers of the requests to it."""
