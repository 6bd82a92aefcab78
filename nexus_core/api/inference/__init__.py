"""The inference APIs: requests from clients to the forwarder."""
