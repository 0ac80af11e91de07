-- name: list_ended_tokens(since)
-- Generations of users and sessions whose access tokens are over before they expire.
SELECT user_id, below, CAST(NULL AS uuid) AS session_id, changed_at, expires_at
FROM ended_generations
WHERE changed_at > :since AND expires_at > now()
UNION ALL
SELECT NULL, NULL, session_id, changed_at, expires_at
FROM ended_sessions
WHERE changed_at > :since AND expires_at > now();

-- name: answer()$
SELECT true;
