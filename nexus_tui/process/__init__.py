"""The process: event loop, signals, standard streams, logs, the server beside the dashboard."""
