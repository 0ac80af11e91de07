"""The services, and what they share."""

import os

# gRPC reads these once, when it is loaded. It would write lines of its own into the logs, and run
# handlers of its own in a process that is about to become another program, and may hang there.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
