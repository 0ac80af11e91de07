"""The protos, and what is generated from them."""
