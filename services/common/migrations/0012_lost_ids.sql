-- Postgres put back to an older state has sequences that are put back as well, and would give ids
-- a second time that the ledger, callers and tokens know. Whoever sees an id that a sequence has
-- not reached lets all of them pass what may have been given meanwhile; once is enough, since
-- afterwards they have reached it. Both null: whatever they have reached.
CREATE FUNCTION pass_lost_ids(seen_of text, seen bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    sequence record;
BEGIN
    IF seen <= (SELECT coalesce(last_value, 0) FROM pg_sequences
                WHERE schemaname = 'public' AND sequencename = seen_of) THEN
        RETURN false;
    END IF;
    FOR sequence IN
        SELECT format('%I.%I', schemaname, sequencename)::regclass AS name,
               coalesce(last_value, 0) AS reached
        FROM pg_sequences
        WHERE schemaname = 'public'
    LOOP
        PERFORM setval(sequence.name, greatest(
            sequence.reached,
            CASE WHEN sequence.name = seen_of::regclass THEN seen ELSE 0 END
        ) + 1000000);
    END LOOP;
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION pass_lost_ids FROM PUBLIC;

-- As in the ledger, request ids are one user's in one pool: where a number or a card is given a
-- second time before the ledger is read again, both orders have drawn.
CREATE UNIQUE INDEX orders_draw ON orders (draw_request_id, user_id, pool_id);
ALTER TABLE orders DROP CONSTRAINT orders_draw_request_id_key;
