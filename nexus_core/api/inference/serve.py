"""Inference requests: from the body to the forwarder, whichever transport brought them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nexus_core.api.asgi.encoding import as_utf8
from nexus_core.api.asgi.messages import RawHeaders
from nexus_core.api.headers import masked_headers, read_hints
from nexus_core.api.inference.arrival import Arrival
from nexus_core.api.inference.reply import ClientReply
from nexus_core.api.refusals import Refusals
from nexus_core.background import in_background
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.request import Request, of_session, with_headers
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.known_secrets import SECRETS
from nexus_core.observe.origin.origin import read_origin
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.requirements import Requirements, RoutingHints, read_requirements
from nexus_core.routing.stored import check_stored
from nexus_core.types import DialectName

if TYPE_CHECKING:
    from nexus_core.keys.held import HeldKey

_known_names = SECRETS.names
# Reading a prompt of this length takes a third of a millisecond, for which streams stand still.
LONG_PROMPT_BYTES = 256 * 1024
LONG_FOREIGN_BYTES = 96 * 1024  # in a format that is not the hub's, with more to go through


class Completions:
    """Serves POST /v1/chat/completions, /v1/completions and /v1/embeddings, streaming or not."""

    def __init__(self, gateway: Gateway, refusals: Refusals) -> None:
        self._gateway = gateway
        self._refusals = refusals

    async def serve(self, arrival: Arrival, body: bytes, reply: ClientReply) -> None:
        """Answer one request, in every case.

        Cancel the calling task when the client leaves: what was begun for it ends.

        Raises:
            Exception: Nexus failed after the answer had begun. Log it, and cut the answer off: the
                client must see that.
        """
        try:
            dialect, operation = arrival.asked
            read = dialect.read_request
            if len(body) < (LONG_PROMPT_BYTES if dialect.bridge is None else LONG_FOREIGN_BYTES):
                envelope = read(operation, as_utf8(body), arrival.request_id)
            else:
                long = partial(read, operation, as_utf8(body), arrival.request_id)
                envelope = await in_background(long)
            request = self._checked(arrival, dialect, envelope)
            if request.envelope.dialect is DialectName.OLLAMA:
                from nexus_core.api.ollama.arrive import own_answer

                if (answer := own_answer(self._gateway, request)) is not None:
                    reply.tell(answer)
                    await reply.drain()
                    return
            arrival.headers = []  # what is kept of them is shared; a stream may last for long
            captures = self._gateway.captures
            await self._gateway.forwarder.forward(
                request, captures.record(request, reply) if captures.is_on else reply
            )
        except Exception as error:
            if reply.has_begun:
                raise
            reply.refuse(self._refusals.of(error, arrival.path, arrival.request_id), None)
        await reply.drain()

    def _checked(self, arrival: Arrival, dialect: Dialect, envelope: Request) -> ProxyRequest:
        """The request with what its headers ask for.

        Raises:
            NexusError: it is not valid.
        """
        # Content-Type is not looked at: curl -d and many a script send JSON as a form, and the
        # other web pages that could do so from a browser were turned away at the door.
        model = envelope.model
        is_secret = _known_names.get(model)
        if is_secret or (is_secret is None and SECRETS.are_in_name(model)):
            # It would stand in lists, logs and the ledger.
            raise InvalidRequestError("model: this is a key, not a model's name", param="model")
        if dialect.passed_headers:
            envelope = with_headers(envelope, format_headers(arrival.headers, dialect))
        origin = read_origin(arrival.headers)
        if origin.session is not None:
            envelope = of_session(envelope, origin.session)
        if envelope.dialect is DialectName.OLLAMA:
            from nexus_core.api.ollama.arrive import tagged

            envelope = tagged(self._gateway, envelope)
        hints = read_hints(arrival.headers, self._gateway.registry.names)
        key = arrival.caller.key
        need = read_need(self._gateway, envelope.model, hints, key)
        if envelope.demand.places:  # few ask for anything particular
            check_stored(need, envelope.demand, self._gateway.registry.snapshots())
        return ProxyRequest(
            envelope=envelope,
            dialect=dialect,
            need=need,
            client=arrival.caller.name,
            headers=masked_headers(arrival.headers),
            received=arrival.received,
            origin=origin,
            permit=None if key is None else key.permit(),
        )


def read_need(
    gateway: Gateway, model: str, hints: RoutingHints, key: HeldKey | None
) -> Requirements:
    """Requirements of a request: by its model and hints, and by what its key may use.

    Raises:
        ModelNotAllowedError: the key may not use the model.
    """
    routing = gateway.live.config.routing
    return (read_requirements if key is None else key.need)(model, hints, routing)


def format_headers(headers: RawHeaders, dialect: Dialect) -> tuple[tuple[str, str], ...]:
    """A request's headers that go with its format, whichever backend speaks it."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name in dialect.passed_headers
    )
