"""HTTP/1.1 of our own on httptools: the default engine. It speaks to backends, not to proxies.

`engine` takes a request, `request_head` writes its head once for all that are alike, `pool` keeps
idle connections, `dial` makes new ones, `connection` writes and parses, `answer` is read from.
"""

from nexus_core.upstream.http1.engine import Http1Engine

__all__ = ["Http1Engine"]
