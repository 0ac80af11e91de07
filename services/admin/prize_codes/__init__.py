"""Wins that are handed out: codes looked up, redeemed, disqualified."""
