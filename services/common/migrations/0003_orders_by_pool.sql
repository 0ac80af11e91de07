-- The orders of a pool: the audit compares them with what was drawn, and a rebuild opens those
-- again whose draws went down with Redis.
CREATE INDEX orders_pool ON orders (pool_id);
