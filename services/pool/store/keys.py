"""Names of what Redis holds; docs/redis-keys.md says what is in each. They stand nowhere else."""

CONFIG = "config"
DOCUMENT = "document"
STATE = "state"
STOCK = "stock"
USERS = "users"
REQUESTS = ("req:0", "req:1")
LEDGER = "ledger"
RECORDED = "recorded"
REPLICATED = "replicated"
OPENS = "opens"
ALL = (CONFIG, DOCUMENT, STATE, STOCK, USERS, *REQUESTS, LEDGER, RECORDED, REPLICATED, OPENS)

BLOCKS = "kuji:blocks"
BLOCKED_NETWORKS = f"{{{BLOCKS}}}:networks"  # in the same slot
FEED_CHANNEL = "kuji:feed"
CONFIRM_CHANNEL = "kuji:recorded"


def key(pool_id: int, name: str) -> str:
    """The key *name* of a pool; all keys of a pool share a slot."""
    return f"{{p:{pool_id}}}:{name}"


def ledger_key(pool_id: int) -> str:
    """Key of a pool's ledger."""
    return key(pool_id, LEDGER)
