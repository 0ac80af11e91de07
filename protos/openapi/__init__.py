"""The JSON face as an OpenAPI 3.1 document."""
