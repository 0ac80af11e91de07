-- What rests is not asked about: recorders are told when there may be a pool to take, and pools
-- whose seed is to be revealed are found by an index that is nearly always empty.
CREATE FUNCTION tell_of_pools() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('kuji_pools', '');
    RETURN NULL;
END $$;
CREATE TRIGGER pools_told AFTER INSERT OR UPDATE OF version, halted_reason ON pools
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_pools();
CREATE TRIGGER activities_told AFTER INSERT ON activities
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_pools();
CREATE TRIGGER boxes_told AFTER INSERT ON boxes
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_pools();

-- A box is not sold out before so many wins, its units: those that cannot be need no counting.
ALTER TABLE boxes ADD COLUMN units bigint NOT NULL DEFAULT 0;
UPDATE boxes
SET units = box.units
FROM (
    SELECT pool_id,
           CASE WHEN bool_or(total_count IS NULL) THEN 9223372036854775807
                ELSE sum(total_count) END AS units
    FROM prizes
    WHERE goods_item_id IS NOT NULL
    GROUP BY pool_id
) AS box
WHERE boxes.pool_id = box.pool_id AND NOT boxes.is_ended;

-- Whether a configuration that ends it is recorded.
ALTER TABLE pools ADD COLUMN is_over boolean NOT NULL DEFAULT false;
CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pools SET is_over = true WHERE id = NEW.pool_id;
    RETURN NULL;
END $$;
CREATE TRIGGER pool_versions_noted AFTER INSERT ON pool_versions
    FOR EACH ROW WHEN (NEW.config ->> 'status' = 'POOL_STATUS_ENDED')
    EXECUTE FUNCTION note_end();
UPDATE pools
SET is_over = true
FROM pool_versions
WHERE NOT pools.is_revealed AND pool_versions.pool_id = pools.id
  AND pool_versions.config ->> 'status' = 'POOL_STATUS_ENDED';
CREATE INDEX pools_to_reveal ON pools (id) WHERE is_over AND NOT is_revealed;
