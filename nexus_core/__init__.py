"""The core of the gateway: configuration, routing, proxy, HTTP API. Imports no user interface."""

__version__ = "0.1.0"
