"""GET /docs and /openapi.json: what the API takes and sends."""
