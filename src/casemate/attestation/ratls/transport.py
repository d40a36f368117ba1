"""RA-TLS under httpx: an ordinary client whose server is judged by its evidence or its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from casemate.attestation.ratls.client import ClientContext


def httpx_transport(context: ClientContext, **settings: Any) -> httpx.HTTPTransport:
    """``httpx.Client(transport=httpx_transport(context))``; ``settings`` are those of ``httpx.HTTPTransport``."""
    import httpx

    return httpx.HTTPTransport(verify=context, trust_env=False, **settings)
