"""Go's text/template, as far as call data needs it, and the functions that ghz gives it."""
