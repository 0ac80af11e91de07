"""Who a caller is: users, passwords, sessions and the keys that sign access tokens."""
