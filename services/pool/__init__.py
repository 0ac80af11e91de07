"""What a pool is, for everybody: its rule, its store, its ledger, its books."""
