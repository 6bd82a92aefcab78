"""Refusals: the error that a client gets for a request that failed before its answer began."""

from __future__ import annotations

import logging

from nexus_core import descriptors
from nexus_core.errors import NexusError, OutOfDescriptorsError
from nexus_core.gateway import Gateway
from nexus_core.known_secrets import SECRETS
from nexus_core.observe.events import RequestRefused

log = logging.getLogger(__name__)

_DATA_PLANE = ("/v1/", "/v1beta/", "/api/")


class Refusals:
    """Turns what was raised into the client's error; counts refusals, logs failures of Nexus."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def of(self, error: Exception, path: str, request_id: str) -> NexusError:
        """The error to answer with."""
        if isinstance(error, NexusError):
            self._publish(error, path, request_id)
            return error
        if descriptors.is_shortage(error):
            return OutOfDescriptorsError.now()
        self.log_failure(error, path, request_id)
        return NexusError(f"internal error; search the Nexus log for {request_id}")

    def log_failure(self, error: Exception, path: str, request_id: str) -> None:
        """Log an error that is a fault of Nexus."""
        told = ascii(SECRETS.cut_text(path))
        log.error("failed request=%s path=%s", request_id, told, exc_info=error)

    def _publish(self, error: NexusError, path: str, request_id: str) -> None:
        if not path.startswith(_DATA_PLANE):
            return
        self._gateway.bus.publish(
            RequestRefused(
                at=self._gateway.now(),
                request_id=request_id,
                path=SECRETS.cut_text(path),
                status=error.status,
                code=error.code,
            )
        )
