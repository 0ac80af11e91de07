"""A stack with certificates: https at the edge, mTLS behind it."""

import httpx

from stack.probes import certificate_itself
from tests.support.certificates import Authority
from tests.support.edge import caller, log_in_admin, register
from tests.support.stacks import StackUnderTest, stack_home


async def test_stack_with_certificates_draws_by_https() -> None:
    """Two variables, and the edge speaks https; three more, and nothing goes in the clear."""
    with stack_home() as home:
        mounted = home / "certificates"
        Authority().issue(mounted)
        files = {"CERT": mounted / "tls.crt", "KEY": mounted / "tls.key"}
        told = {f"KUJI_EDGE_TLS_{name}_FILE": str(file) for name, file in files.items()}
        files["CA"] = mounted / "ca.crt"
        told |= {f"KUJI_TLS_{name}_FILE": str(file) for name, file in files.items()}
        stack = StackUnderTest(home, told)
        async with stack.running_beside():
            assert f"https://127.0.0.1:{stack.edge_port}" == stack.edge
            status = stack.command("status")
            assert 0 == status.returncode, status.stdout
            believed = certificate_itself(mounted / "tls.crt")
            async with httpx.AsyncClient(base_url=stack.edge, verify=believed, timeout=20) as http:
                admin = caller(http, await log_in_admin(http, stack.admin))
                activity = await admin("POST", "/admin/api/activities", json={"name": "tls"})
                activity_id = activity["activity_id"]
                prize = {"name": "cup", "total_count": 1, "probability": 1}
                await admin("POST", "/admin/api/prizes", json=prize | {"activity_id": activity_id})
                path = f"/admin/api/activities/{activity_id}"
                await admin("PUT", path, json={"status": "ongoing"})
                user = caller(http, (await register(http))["access_token"])
                drawn = await user("POST", "/api/lottery/draw", json={"activity_id": activity_id})
    assert drawn["won"]
