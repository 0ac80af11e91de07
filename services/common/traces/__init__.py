"""OpenTelemetry traces; nothing of them is imported, or costs anything, unless they are on."""
