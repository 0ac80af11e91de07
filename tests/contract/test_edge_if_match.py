"""The header If-Match: the etag of a write that has no body."""

import pytest
from kuji.admin.v1 import admin_pb2

from tests.contract.edge_rig import Rig


@pytest.mark.parametrize(
    ("sent", "heard"),
    [('"0af9"', "0af9"), ("0af9", "0af9"), ('W/"0af9"', "0af9"), ("*", ""), ("é", ""), (None, "")],
)
async def test_header_says_the_etag_of_an_edit(rig: Rig, sent: str | None, heard: str) -> None:
    """In quotes or not; any version at all is as good as none asked for."""
    rig.script.answer("DeletePrize", admin_pb2.DeletePrizeResponse())
    headers = {"authorization": f"Bearer {rig.script.token('operator')}"}
    if sent is not None:
        headers["if-match"] = sent
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    response = await rig.http.request("DELETE", "/admin/api/prizes/5", headers=encoded)
    assert 200 == response.status_code
    assert [heard] == [ctx.if_match for name, _, ctx in rig.script.requests if name != "GetJwks"]


async def test_etag_in_the_query_of_a_write_is_refused(rig: Rig) -> None:
    """A write takes nothing from a query."""
    response = await rig.call("DELETE", "/admin/api/prizes/5?etag=0af9", "operator")
    assert (400, "etag") == (response.status_code, response.json()["metadata"]["field"])
