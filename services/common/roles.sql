-- A service's role, made or given another password; which, kuji.role and kuji.password say: a statement
-- about roles takes no parameters. Run by an owner who may make roles, and need be no superuser.
DO $$
DECLARE
    name text = current_setting('kuji.role');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
        EXECUTE format('CREATE ROLE %I', name);
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', name, current_setting('kuji.password'));
END $$;
