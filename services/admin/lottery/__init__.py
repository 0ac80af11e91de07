"""Activities and their prizes, as the operator sets them."""
