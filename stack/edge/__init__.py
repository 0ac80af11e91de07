"""The edge: Envoy, its configuration rendered from envoy/ and the protos."""
