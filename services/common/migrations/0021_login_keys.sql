-- Keys that sign what a login gives (RS256). Those in signing_keys (EdDSA) did so before, and sign tokens for load
-- tests: a version that knows no other kind finds its own there, and nothing that it cannot read.
CREATE TABLE login_keys (LIKE signing_keys INCLUDING ALL);
