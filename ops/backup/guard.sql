-- The last step of the transaction that restores, in which no schema is searched by itself.

-- Rights do not come from the backup: what not everybody may call is said here again; what each
-- role may do, afterwards, by grants.sql.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT oid::regprocedure
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prosecdef
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;
END $$;

-- What was answered after the backup stays known, so that nothing of it is drawn again unseen; ids
-- that were given meanwhile are not given again. A backup of an older Kuji may have neither.
DO $$
BEGIN
    IF to_regclass('public.pool_marks') IS NOT NULL THEN
        INSERT INTO public.pool_marks AS known (pool_id, seq, clock_us, reserved_seq, run_id, witness)
        SELECT pool_id, seq, clock_us, greatest(reserved_seq, seq), '', ''
        FROM pg_temp.known_marks
        JOIN public.pools ON pools.id = pool_id AND seed_commitment = commitment
        ON CONFLICT (pool_id) DO UPDATE
        SET seq = greatest(known.seq, excluded.seq),
            clock_us = greatest(known.clock_us, excluded.clock_us),
            reserved_seq = greatest(known.reserved_seq, excluded.reserved_seq);
    END IF;
    IF to_regprocedure('public.pass_lost_ids(text, bigint)') IS NOT NULL THEN
        PERFORM public.pass_lost_ids(NULL, NULL);
    END IF;
END $$;

COMMIT;
