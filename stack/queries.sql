-- Who may come into the embedded Postgres. The superuser makes them; what each may do is the
-- owner's to say, in services/common/grants.sql.

-- name: tell(role, password)$
-- What the next statement is about: a statement about roles takes no parameters.
SELECT set_config('kuji.role', :role, false) || set_config('kuji.password', :password, false);

-- name: ensure_role#
DO $$
DECLARE
    name text = current_setting('kuji.role');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
        EXECUTE format('CREATE ROLE %I', name);
    END IF;
    EXECUTE format(
        'ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L',
        name, current_setting('kuji.password')
    );
END $$;

-- name: set_password#
DO $$
BEGIN
    EXECUTE format(
        'ALTER ROLE %I PASSWORD %L', current_setting('kuji.role'), current_setting('kuji.password')
    );
END $$;

-- name: database_exists()$
SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'kuji');

-- name: create_database#
CREATE DATABASE kuji;

-- name: hand_over#
-- The database and all in it is the owner's. An older Kuji made it as the superuser.
ALTER DATABASE kuji OWNER TO kuji;
GRANT pg_monitor, pg_signal_backend TO kuji;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER TABLE %s OWNER TO kuji', oid::regclass)
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relowner <> 'kuji'::regrole
            AND relkind IN ('r', 'p', 'v', 'm')
        UNION ALL
        SELECT format('ALTER SEQUENCE %s OWNER TO kuji', sequence.oid::regclass)
        FROM pg_class AS sequence
        WHERE relnamespace = 'public'::regnamespace AND relowner <> 'kuji'::regrole
            AND relkind = 'S' AND NOT EXISTS (
                SELECT FROM pg_depend
                WHERE objid = sequence.oid AND classid = 'pg_class'::regclass
                    AND deptype IN ('a', 'i')  -- a column's goes with its table
            )
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO kuji', oid::regprocedure)
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner <> 'kuji'::regrole
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;

-- name: describe()^
-- The server's release, what the database takes, and whether somebody has to look at a pool.
SELECT current_setting('server_version') AS release,
       pg_size_pretty(pg_database_size(current_database())) AS size,
       (SELECT count(*) FROM pools WHERE halted_reason <> '') AS halted_pools;
