-- Networks that the owner of an account has logged in from: an IPv4 address, or the /64 of an IPv6
-- one. Attacks from elsewhere do not keep the owner out there.
CREATE TABLE known_networks (
    user_id        bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    network        text NOT NULL CHECK (length(network) BETWEEN 1 AND 64),
    last_login_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, network)
);
CREATE INDEX known_networks_last_login_at ON known_networks (last_login_at);
