"""The simulated vendor's web service: paths, parameters, headers and status codes of Intel's PCS.

"API documentation for the Intel SGX and TDX Provisioning Certification Service", version 4: pckcert, pckcerts,
pckcrl, tcb, qe/identity, fmspcs, tcbevaluationdatanumbers; registration, version 1: platform. ``rootcacrl`` is as a
PCCS has it. What only a simulation has is under ``/simulated/v1``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from casemate.attestation.simulated.enclaves import ROLES, sigstruct
from casemate.attestation.simulated.registration import SIZE, RegistrationError
from casemate.attestation.simulated.vendor import COMPONENTS, Vendor
from casemate.loader.files import runtime_file

_SGX = "/sgx/certification/v4"
_PEM, _DER = "application/x-pem-file", "application/pkix-crl"


def application(path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Starlette:
    """The service of the vendor in this directory. What changes there shows in the next answer."""

    def route(address: str, handler: Callable[[Vendor, Request, datetime], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(lambda: _named(handler(Vendor.open(path), request, clock())))

        return Route(address, endpoint, methods=["GET"])

    async def register(request: Request) -> Response:
        return _named(await _register(Vendor.open(path), request))

    return Starlette(
        routes=[
            route(f"{_SGX}/pckcert", _pck_certificate),
            route(f"{_SGX}/pckcerts", _pck_certificates),
            route(f"{_SGX}/pckcrl", _pck_crl),
            route(f"{_SGX}/rootcacrl", _root_crl),
            route(f"{_SGX}/tcb", _tcb),
            route(f"{_SGX}/qe/identity", _qe_identity),
            route(f"{_SGX}/fmspcs", _fmspcs),
            route(f"{_SGX}/tcbevaluationdatanumbers", _evaluation_numbers),
            route("/simulated/v1/root", _root),
            route("/simulated/v1/enclaves/{name}", _enclave),
            Route("/sgx/registration/v1/platform", register, methods=["POST"]),
        ]
    )


def _named(response: Response) -> Response:
    response.headers["Request-ID"] = uuid4().hex
    return response


def _refusal(status: int, code: str, message: str) -> Response:
    return Response(status_code=status, headers={"Error-Code": code, "Error-Message": message})


def _missing() -> Response:
    return _refusal(404, "NoCollateral", "nothing is known for these parameters")


def _invalid(what: str) -> Response:
    return _refusal(400, "InvalidRequestSyntax", what)


async def _register(vendor: Vendor, request: Request) -> Response:
    """The platform manifest in, the PPID out (201), as the registration service answers."""
    if request.headers.get("content-type") != "application/octet-stream":
        return _refusal(415, "UnsupportedMediaType", "application/octet-stream is expected")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > SIZE:
            return _refusal(413, "InvalidPlatformManifest", "the platform manifest is too large")
    try:
        found = await run_in_threadpool(vendor.register, data)
    except RegistrationError as error:
        return _refusal(400, "InvalidPlatformManifest", error.what)
    return Response(found.ppid.hex().upper(), status_code=201, media_type="text/plain")


def _platform_parameters(request: Request) -> tuple[bytes, bytes, int] | None:
    """PPID, CPUSVN, PCESVN. PPIDs of the simulation are not encrypted: 16 bytes instead of 384."""
    query = request.query_params
    try:
        ppid = bytes.fromhex(query["encrypted_ppid"])
        cpusvn = bytes.fromhex(query.get("cpusvn", "00" * COMPONENTS))
        pce_svn = int.from_bytes(bytes.fromhex(query.get("pcesvn", "0000")), "little")
        int(query["pceid"], 16)
    except (KeyError, ValueError):
        return None
    return (ppid, cpusvn, pce_svn) if len(ppid) == 16 and len(cpusvn) == COMPONENTS else None


def _pck_certificate(vendor: Vendor, request: Request, at: datetime) -> Response:
    parameters = _platform_parameters(request)
    if parameters is None:
        return _invalid("encrypted_ppid, cpusvn, pcesvn and pceid are expected, in hexadecimal digits")
    ppid, cpusvn, pce_svn = parameters
    platform = vendor.platform(ppid)
    if platform is None:
        return _missing()
    # The best certificate that the raw TCB supports is the one of the registration, or none.
    supported = all(have >= need for have, need in zip(cpusvn, platform.cpusvn, strict=True))
    if not supported or pce_svn < platform.pce_svn:
        return _missing()
    certificate = vendor.pck_certificate(platform, at)
    tcbm = platform.cpusvn.hex() + platform.pce_svn.to_bytes(2, "little").hex()
    headers = _pck_headers(vendor) | {"SGX-TCBm": tcbm.upper()}
    return Response(certificate.public_bytes(Encoding.PEM), media_type=_PEM, headers=headers)


def _pck_certificates(vendor: Vendor, request: Request, at: datetime) -> Response:
    parameters = _platform_parameters(request)
    if parameters is None:
        return _invalid("encrypted_ppid and pceid are expected, in hexadecimal digits")
    platform = vendor.platform(parameters[0])
    if platform is None:
        return _missing()
    certificate = vendor.pck_certificate(platform, at).public_bytes(Encoding.PEM).decode()
    tcb = {f"sgxtcbcomp{number:02}svn": svn for number, svn in enumerate(platform.cpusvn, 1)}
    entry = {
        "tcb": tcb | {"pcesvn": platform.pce_svn},
        "tcbm": (platform.cpusvn.hex() + platform.pce_svn.to_bytes(2, "little").hex()).upper(),
        "cert": quote(certificate, safe=""),
    }
    return JSONResponse([entry], headers=_pck_headers(vendor))


def _pck_headers(vendor: Vendor) -> dict[str, str]:
    return {
        "SGX-PCK-Certificate-Issuer-Chain": quote(vendor.issuers("authority"), safe=""),
        "SGX-FMSPC": vendor.state.fmspc,
        "SGX-PCK-Certificate-CA-Type": "processor",
    }


def _pck_crl(vendor: Vendor, request: Request, at: datetime) -> Response:
    if request.query_params.get("ca") != "processor":
        return _missing() if request.query_params.get("ca") == "platform" else _invalid("ca is expected")
    headers = {"SGX-PCK-CRL-Issuer-Chain": quote(vendor.issuers("authority"), safe="")}
    return _crl(vendor.pck_crl(at), request.query_params.get("encoding", "pem"), headers)


def _root_crl(vendor: Vendor, request: Request, at: datetime) -> Response:
    """Hexadecimal digits, as a PCCS answers; DER when asked for, as Intel's distribution point answers."""
    crl = vendor.root_crl(at)
    if request.query_params.get("encoding") == "der":
        return _crl(crl, "der", {})
    return Response(crl.hex(), media_type="text/plain")


def _crl(der: bytes, encoding: str, headers: dict[str, str]) -> Response:
    if encoding == "der":
        return Response(der, media_type=_DER, headers=headers)
    pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    return Response(pem, media_type=_PEM, headers=headers)


def _tcb(vendor: Vendor, request: Request, at: datetime) -> Response:
    fmspc = request.query_params.get("fmspc", "")
    if len(fmspc) != 12:
        return _invalid("fmspc is expected: 12 hexadecimal digits")
    if fmspc.upper() != vendor.state.fmspc:
        return _missing()
    if refusal := _other_evaluation(vendor, request):
        return refusal
    text, signature = vendor.tcb_info(at)
    return _signed("tcbInfo", text, signature, "TCB-Info-Issuer-Chain", vendor)


def _qe_identity(vendor: Vendor, request: Request, at: datetime) -> Response:
    if refusal := _other_evaluation(vendor, request):
        return refusal
    text, signature = vendor.qe_identity(at)
    return _signed("enclaveIdentity", text, signature, "SGX-Enclave-Identity-Issuer-Chain", vendor)


def _other_evaluation(vendor: Vendor, request: Request) -> Response | None:
    """``update`` and ``tcbEvaluationDataNumber`` exclude each other; there is only the current evaluation."""
    update, number = (request.query_params.get(name) for name in ("update", "tcbEvaluationDataNumber"))
    if update is not None and (number is not None or update not in ("standard", "early")):
        return _invalid("update is standard or early, without tcbEvaluationDataNumber")
    return _missing() if number is not None and number != str(vendor.state.evaluation_number) else None


def _signed(key: str, text: str, signature: bytes, header: str, vendor: Vendor) -> Response:
    # The signed text goes out byte for byte.
    body = f'{{"{key}":{text},"signature":"{signature.hex()}"}}'
    headers = {header: quote(vendor.issuers("tcb"), safe="")}
    return Response(body, media_type="application/json", headers=headers)


def _fmspcs(vendor: Vendor, request: Request, at: datetime) -> Response:
    del request, at
    return JSONResponse([{"fmspc": vendor.state.fmspc, "platform": "simulated"}])


def _evaluation_numbers(vendor: Vendor, request: Request, at: datetime) -> Response:
    del request, at
    number = {"tcbEvaluationDataNumber": vendor.state.evaluation_number}
    return JSONResponse({"tcbEvaluationDataNumbers": {"id": "SGX", "version": 1, "tcbEvalNumbers": [number]}})


def _root(vendor: Vendor, request: Request, at: datetime) -> Response:
    del request, at
    return Response(vendor.chain["root"].public_bytes(Encoding.PEM), media_type=_PEM)


def _enclave(vendor: Vendor, request: Request, at: datetime) -> Response:
    """SIGSTRUCTs of this version's architectural enclaves: ``pce.sig``, ``qe.sig``."""
    del at
    for role in ROLES:
        if request.path_params["name"] == f"{role}.sig":
            image = runtime_file("quoting-enclave").read_bytes()
            return Response(sigstruct(image, role, vendor.enclave_signer), media_type="application/octet-stream")
    return _missing()
