"""RA-TLS: TLS whose certificates carry a quote over their key (``docs/formats/ra-tls.md``).

    identity = new_identity(device_quote)                    inside an enclave: a key, and a certificate with evidence
    context = ClientContext(verify=judge, identity=identity) for ``ssl`` users: ``wrap_socket``, asyncio, httpx
    server = ServerContext(identity=identity, verify=judge)  ``wrap_socket(..., server_side=True)``

A judge takes a quote and returns what it proves (an object with ``report_data``), or raises. This package checks
that the quote is for the key of this very connection, and leaves to the judge whether the quote is to be believed
(``casemate.attestation.verify``).
"""

from casemate.attestation.ratls.certificate import Identity, PeerEvidence, device_quote, new_identity, read_evidence
from casemate.attestation.ratls.client import ClientContext, PeerRefusedSSLError
from casemate.attestation.ratls.errors import RaTlsError
from casemate.attestation.ratls.peer import Judge, Peer, Proven, judge_certificate, key_fingerprint
from casemate.attestation.ratls.server import ServerContext, ServerSocket
from casemate.attestation.ratls.transport import httpx_transport

__all__ = [
    "ClientContext",
    "Identity",
    "Judge",
    "Peer",
    "PeerEvidence",
    "PeerRefusedSSLError",
    "Proven",
    "RaTlsError",
    "ServerContext",
    "ServerSocket",
    "device_quote",
    "httpx_transport",
    "judge_certificate",
    "key_fingerprint",
    "new_identity",
    "read_evidence",
]
