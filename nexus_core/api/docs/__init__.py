"""API documentation: GET /docs and /openapi.json."""
