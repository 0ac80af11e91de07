"""A program of somebody else's: it has the wheels, not the checkout. wheel_client.py HOME"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
from kuji.admin.v1 import admin_pb2, admin_pb2_grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

endpoints = json.loads(Path(sys.argv[1], "endpoints.json").read_text())


def channel(service: str) -> grpc.Channel:
    """To *service*."""
    return grpc.insecure_channel(endpoints["grpc"][service])


def bearer(token: str) -> dict[str, Any]:
    """A call's options: whose it is, and how long it may take."""
    return {"metadata": [("authorization", f"Bearer {token}")], "timeout": 10}


auth = auth_pb2_grpc.AuthServiceStub(channel("auth"))
login = auth_pb2.AdminLoginRequest(**endpoints["admin"])
boss = bearer(auth.AdminLogin(login, timeout=10).session.access_token)

admin = admin_pb2_grpc.AdminServiceStub(channel("admin"))
spring = admin.CreateActivity(admin_pb2.CreateActivityRequest(name="Spring"), **boss).activity
mug = admin_pb2.CreatePrizeRequest(
    activity_id=spring.activity_id, name="Mug", total_count=1, probability=1, is_enabled=True
)
admin.CreatePrize(mug, **boss)
opened = admin_pb2.UpdateActivityRequest(activity_id=spring.activity_id, status="ongoing")
admin.UpdateActivity(opened, **boss)

alice = json.dumps({"username": "alice", "password": "correct horse"}).encode()
with urlopen(Request(f"{endpoints['edge']}/api/auth/register", data=alice), timeout=10) as answer:
    token = json.load(answer)["data"]["access_token"]

draw = draw_pb2_grpc.DrawServiceStub(channel("draw"))
for request_id in ("first", "second", "first"):
    result = draw.Draw(draw_pb2.DrawRequest(request_id=request_id), **bearer(token)).result
    print(request_id, result.prize.name or "nothing")
