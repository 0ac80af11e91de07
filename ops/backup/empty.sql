-- The first step of the transaction that restores: takes away all that Kuji, of whatever version,
-- has in the schema public; extensions stay. What was answered of each pool is kept for the last
-- step.
BEGIN;

CREATE TEMPORARY TABLE known_marks (
    pool_id bigint, commitment bytea, seq bigint, clock_us bigint, reserved_seq bigint
) ON COMMIT DROP;
DO $$
BEGIN
    IF to_regclass('public.pool_marks') IS NOT NULL THEN
        INSERT INTO pg_temp.known_marks
        SELECT pools.id, seed_commitment, greatest(recorded_seq, seq), clock_us, reserved_seq
        FROM public.pool_marks
        JOIN public.pools ON pools.id = pool_id;
    END IF;
END $$;

DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP TABLE IF EXISTS %s CASCADE', pg_class.oid::regclass)
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e'
        )
        UNION ALL
        SELECT format('DROP SEQUENCE IF EXISTS %s CASCADE', pg_class.oid::regclass)
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' AND NOT EXISTS (
            SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i', 'e')
        )
        UNION ALL
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', pg_proc.oid::regprocedure)
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e'
        )
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
