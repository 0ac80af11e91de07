-- The owner, his database, and a role for each service, none of them a superuser. What each role may do is said by
-- services/common/grants.sql, which `kuji migrate` applies.
\set ON_ERROR_STOP on
\getenv owner KUJI_PASSWORD
\getenv auth KUJI_AUTH_PASSWORD
\getenv draw KUJI_DRAW_PASSWORD
\getenv admin KUJI_ADMIN_PASSWORD
\getenv history KUJI_HISTORY_PASSWORD
\getenv recorder KUJI_RECORDER_PASSWORD
CREATE ROLE kuji LOGIN PASSWORD :'owner';
CREATE ROLE kuji_auth LOGIN PASSWORD :'auth';
CREATE ROLE kuji_draw LOGIN PASSWORD :'draw';
CREATE ROLE kuji_admin LOGIN PASSWORD :'admin';
CREATE ROLE kuji_history LOGIN PASSWORD :'history';
CREATE ROLE kuji_recorder LOGIN PASSWORD :'recorder';
CREATE DATABASE kuji OWNER kuji;
GRANT pg_monitor, pg_signal_backend TO kuji;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
