"""The ledger: what a pool drew, in order."""
