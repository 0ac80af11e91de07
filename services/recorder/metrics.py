"""The recorder's metrics."""

from prometheus_client import Counter, Gauge, Histogram

DRAWS = Counter("kuji_recorder_draws", "Draws recorded")
BATCH_DRAWS = Histogram(
    "kuji_recorder_batch_draws",
    "Draws in one transaction",
    buckets=(1, 10, 100, 500, 1000, 2500, 5000, 10_000),
)
DELAY_S = Histogram(
    "kuji_recorder_delay_seconds",
    "From a batch's oldest draw to its commit",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
HELD_POOLS = Gauge("kuji_recorder_held_pools", "Pools that this process records")
HALTED_POOLS = Gauge("kuji_recorder_halted_pools", "Pools whose recording has stopped")
RESTORED_ORDERS = Counter(
    "kuji_recorder_restored_orders", "Orders that Postgres had lost, written from the ledger"
)
LAG_DRAWS = Gauge("kuji_recorder_lag_draws", "Draws not yet recorded", ["pool"])
LAG_S = Gauge("kuji_recorder_lag_seconds", "Age of the oldest draw being recorded", ["pool"])
