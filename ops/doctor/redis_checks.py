"""Redis, or Valkey: its version, and the settings that Kuji's promises rest on."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, warning, well, wrong
from services.common.postgres import load_queries

_queries: Any = load_queries(__file__)
_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}
_FULL_SHARE = 0.9  # where draws are shed, see services/draw/guard.py
_NEARLY_FULL_SHARE = 0.75
_SHORTEST_SCRIPT_MS = 1000
_STORES = runbook("stores-of-your-own")


class _Right(NamedTuple):
    """A command that a service's user of Redis needs; see stack/valkey.acl."""

    user: str
    command: tuple[str, ...]


_RIGHTS = (
    _Right("draw", ("EVALSHA", "0" * 40, "1", "{p:1}:state")),
    _Right("draw", ("SCRIPT", "LOAD", "return 1")),
    _Right("draw", ("SET", "kuji:blocks", "1")),
    _Right("draw", ("INFO", "memory")),
    _Right("draw", ("TIME",)),
    _Right("history", ("XRANGE", "{p:1}:ledger", "-", "+")),
    _Right("history", ("SUBSCRIBE", "kuji:feed")),
    _Right("recorder", ("XREAD", "STREAMS", "{p:1}:ledger", "0")),
    _Right("recorder", ("XTRIM", "{p:1}:ledger", "MINID", "1")),
    _Right("recorder", ("SET", "{p:1}:recorded", "1")),
    _Right("recorder", ("PUBLISH", "kuji:feed", "")),
)


def _redis(patient: Patient) -> Redis:
    assert patient.redis is not None, "the checks here need it"
    return patient.redis


async def version(patient: Patient) -> list[Symptom]:
    """At least Redis 7.0 or Valkey 7.2."""
    return [judge_release(await _redis(patient).info("server"))]


def judge_release(info: Mapping[str, Any]) -> Symptom:
    """The same, of what the server says of itself."""
    kind = "Valkey" if "valkey_version" in info else "Redis"
    release = str(info.get("valkey_version") or info["redis_version"])
    major, minor, *_ = (int(part) for part in release.split("."))
    if (major, minor) >= _OLDEST[kind]:
        return well(f"{kind} {release}")
    return wrong(
        f"this is {kind} {release}; Kuji needs Redis 7.0 or Valkey 7.2, or newer",
        "the scripts use what older ones do not have",
        "install a newer one; it reads the data of the older",
    )


async def durability(patient: Patient) -> list[Symptom]:
    """A reply leaves after the fsync of what it says."""
    config = await _redis(patient).config_get("appendonly", "appendfsync", "no-appendfsync-*")
    if config["appendonly"] != "yes":
        return [
            wrong(
                "appendonly is off",
                "answered draws are gone when Redis ends; pools are then rebuilt without them",
                "CONFIG SET appendonly yes, and the same in its configuration file",
            )
        ]
    if config["appendfsync"] != "always":
        return [
            wrong(
                f"appendfsync is {config['appendfsync']}, not always",
                "a power loss takes back draws that were answered",
                "CONFIG SET appendfsync always, and the same in its configuration file",
            )
        ]
    if config["no-appendfsync-on-rewrite"] != "no":
        return [
            wrong(
                "no-appendfsync-on-rewrite is on",
                "while Redis rewrites its log, a power loss takes back draws that were answered",
                "CONFIG SET no-appendfsync-on-rewrite no, and the same in its configuration file",
            )
        ]
    return [well("a draw is on the disk before it is answered (appendfsync always)")]


async def eviction(patient: Patient) -> list[Symptom]:
    """Nothing is ever evicted."""
    policy = (await _redis(patient).config_get("maxmemory-policy"))["maxmemory-policy"]
    if policy == "noeviction":
        return [well("nothing is evicted (maxmemory-policy noeviction)")]
    return [
        wrong(
            f"maxmemory-policy is {policy}",
            "when memory runs short, Redis throws stock and ledgers away",
            "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
        )
    ]


async def memory(patient: Patient) -> list[Symptom]:
    """There is a bound, and room below it."""
    info = await _redis(patient).info("memory")
    bound, used = int(info["maxmemory"]), int(info["used_memory"])
    given = int(patient.environment.get("KUJI_MAX_STORE_BYTES") or 0)
    limit = given or int(bound * _FULL_SHARE)
    if not limit:
        return [
            warning(
                "Redis has no bound of memory (maxmemory is 0)",
                "draws are not shed before the machine is out of memory, which ends Redis",
                "CONFIG SET maxmemory, about half of its machine's memory; or KUJI_MAX_STORE_BYTES",
            )
        ]
    share = used / limit
    sentence = f"{share:.0%} of the {limit / 2**20:,.0f} MiB that draws may fill are used"
    if share >= 1:
        why, step = "draws are shed as OVERLOADED", runbook("backlog-and-overload")
        return [wrong(sentence, why, step)]
    if share >= _NEARLY_FULL_SHARE:
        why, step = "at 100 % draws are shed as OVERLOADED", runbook("backlog-and-overload")
        return [warning(sentence, why, step)]
    return [well(sentence)]


async def writes(patient: Patient) -> list[Symptom]:
    """The last writes to disk succeeded."""
    redis = _redis(patient)
    info = await redis.info("persistence")
    step = "look at the disk of Redis: full, read-only, broken? Its log says more"
    failed = [
        wrong(f"the last {what} failed", why, step)
        for field, what, why in (
            ("aof_last_write_status", "write of its log", "Redis refuses every draw until it can"),
            ("aof_last_bgrewrite_status", "rewrite of its log", "the log grows until it succeeds"),
        )
        if info.get(field, "ok") != "ok"
    ]
    if info.get("rdb_last_bgsave_status", "ok") != "ok" and await _stops_writes(redis):
        why = "Redis refuses every draw (MISCONF) until a snapshot succeeds"
        failed.append(wrong("the last snapshot failed", why, step))
    if int(info.get("loading", 0)):
        failed.append(
            warning("Redis still loads its data", "draws wait for it", "wait; ask again in a while")
        )
    return failed or [well("its writes to the disk succeed")]


async def _stops_writes(redis: Redis) -> bool:
    config = await redis.config_get("save", "stop-writes-on-bgsave-error")
    return bool(config["save"]) and config["stop-writes-on-bgsave-error"] == "yes"


async def replication(patient: Patient) -> list[Symptom]:
    """It is a primary, and has the replicas that activities wait for."""
    redis = _redis(patient)
    info = await redis.info("replication")
    if info["role"] != "master":
        return [
            wrong(
                "this Redis is a replica of another",
                "it takes no writes, so nothing can be drawn",
                "let KUJI_REDIS_URL name the primary, or promote this one (REPLICAOF NO ONE)",
            )
        ]
    online = sum(
        1
        for name, replica in info.items()
        if name.startswith("slave") and isinstance(replica, dict) and replica["state"] == "online"
    )
    wanted = int((await redis.config_get("min-replicas-to-write"))["min-replicas-to-write"] or 0)
    if online < wanted:
        return [
            wrong(
                f"{online} replicas are connected; min-replicas-to-write wants {wanted}",
                "Redis refuses every write (NOREPLICAS)",
                "attach replicas, or CONFIG SET min-replicas-to-write 0",
            )
        ]
    return [await _confirmed_by_replicas(patient, online)]


async def _confirmed_by_replicas(patient: Patient, online: int) -> Symptom:
    needed = int(patient.environment.get("KUJI_CONFIRM_REPLICAS") or 1)
    try:
        assert patient.postgres is not None
        names = [row["name"] async for row in _queries.confirmed_by_replica(patient.postgres)]
    except Exception:  # noqa: BLE001  # Postgres has a line of its own for that
        names = []
    if names and online < needed:
        return wrong(
            f'{", ".join(names)}: confirm is "replica", and {online} of {needed} replicas '
            "are there",
            "their draws get UNAVAILABLE",
            runbook("draws-are-refused"),
        )
    return well(f"a primary, with {online} replicas" if online else "a primary, without a replica")


async def scripts(patient: Patient) -> list[Symptom]:
    """A script may take its time."""
    config = await _redis(patient).config_get("busy-reply-threshold", "lua-time-limit")
    limit_ms = int(config.get("busy-reply-threshold") or config.get("lua-time-limit") or 0)
    if limit_ms == 0 or limit_ms >= _SHORTEST_SCRIPT_MS:
        return [well(f"a script may run for {limit_ms} ms before others hear BUSY")]
    return [
        warning(
            f"after {limit_ms} ms of a script, Redis answers BUSY to all others",
            "a large batch or a large pool can take as long, and draws then get UNAVAILABLE",
            "CONFIG SET busy-reply-threshold 5000 (lua-time-limit before Redis 7)",
        )
    ]


async def cluster(patient: Patient) -> list[Symptom]:
    """Kuji speaks to one server."""
    redis = _redis(patient)
    if not int((await redis.info("cluster")).get("cluster_enabled", 0)):
        return [well("one server, no cluster")]
    reply = await redis.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    state = {key: value for key, value in (_pair(line) for line in _lines(reply)) if key}
    if state["cluster_state"] != "ok":
        return [
            wrong(
                f"the cluster's state is {state['cluster_state']}",
                "keys whose slots nobody serves are refused",
                "CLUSTER ADDSLOTSRANGE 0 16383 on a single node; else redis-cli --cluster check",
            )
        ]
    if int(state["cluster_size"]) > 1:
        return [
            wrong(
                f"the slots are spread over {state['cluster_size']} primaries",
                "Kuji speaks to the one that KUJI_REDIS_URL names; pools of others are refused",
                "use one primary, with replicas",
            )
        ]
    return [well("a cluster of one primary")]


def _lines(reply: object) -> list[str]:
    if isinstance(reply, dict):  # a client that has parsed it
        return [f"{_text(key)}:{_text(value)}" for key, value in reply.items()]
    return _text(reply).split("\r\n")


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key, value


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def rights(patient: Patient) -> list[Symptom]:
    """Each service has a user of its own, which may do what it needs, and strangers nothing."""
    redis = _redis(patient)
    users = {_text(user) for user in await redis.acl_users()}
    if not users & {right.user for right in _RIGHTS}:
        return [await _strangers(redis)]
    missing = [f"{right.user}: {right.command[0]}" for right in _RIGHTS if right.user not in users]
    there = [right for right in _RIGHTS if right.user in users]
    refusals = [(right.user, await _refusal(redis, right)) for right in there]
    missing += [f"{user}: {why}" for user, why in refusals if why]
    if missing:
        return [
            wrong(
                f"users of Redis may not do what they need: {'; '.join(dict.fromkeys(missing))}",
                "what needs it fails, draws perhaps",
                f"give Redis the users of stack/valkey.acl; {_STORES}",
            )
        ]
    return [await _strangers(redis)]


async def _refusal(redis: Redis, right: _Right) -> str:
    question = ("ACL", "DRYRUN", right.user, *right.command)
    reply = _text(await redis.execute_command(*question))  # type: ignore[no-untyped-call]
    return "" if reply == "OK" else reply


async def _strangers(redis: Redis) -> Symptom:
    default = cast(Mapping[str, Any], await redis.acl_getuser("default"))
    flags = {_text(flag) for flag in default["flags"]}
    if {"on", "nopass"} <= flags and default["commands"] != "-@all":
        return warning(
            "everybody who reaches Redis may do everything: its default user has no password",
            "who changes stock or ledgers there, hands out prizes",
            f"give it a password, or the users of stack/valkey.acl; {_STORES}",
        )
    return well("nobody comes in without a password")
