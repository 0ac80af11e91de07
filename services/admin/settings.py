"""What the admin service is told."""

from pydantic import SecretStr

from services.common.settings import PostgresDsn, ServiceSettings


class AdminSettings(ServiceSettings):
    """
    Settings of the admin service.

    Args:
        postgres_dsn: Where activities, goods and the audit log live.
        auth_address: host:port of the auth service: keys, and this service's token.
        draw_address: host:port of the draw service: the live pools.
        service_secret: What makes this process a service in the eyes of auth.
        publish_timeout_s: Bound of one call to the draw service.
        catch_up_timeout_s: Bound of the wait for the recorder after a conflict.
        finish_grace_s: How long after its end an activity can still be extended.
        finish_every_s: Pause between two looks for what is over, or behind.
        simulations_at_once: How many simulations may run; each takes a core for seconds.
        second_person: Whether another person has to approve what cannot be undone, or changes the
            odds of an activity that has begun.
        approval_s: How long a change waits for that.
        max_approvals: How many changes may wait for that.
    """

    postgres_dsn: PostgresDsn
    auth_address: str
    draw_address: str
    service_secret: SecretStr
    publish_timeout_s: float = 3.0
    catch_up_timeout_s: float = 2.0
    finish_grace_s: float = 60.0
    finish_every_s: float = 5.0
    simulations_at_once: int = 1
    second_person: bool = False
    approval_s: float = 86_400.0
    max_approvals: int = 100
