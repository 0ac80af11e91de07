"""What the operators' command may use of admin; nothing else of it is offered."""

from services.admin.audit import KUJI, AuditRecord
from services.admin.blindbox.pool_config import box_pool_config
from services.admin.blindbox.store import GoodsRows
from services.admin.lottery.pool_config import pool_config
from services.admin.store import Rows

__all__ = ["KUJI", "AuditRecord", "GoodsRows", "Rows", "box_pool_config", "pool_config"]
