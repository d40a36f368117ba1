"""What a genuine quote proves: the facts that policies judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from casemate._core import QuoteBody, QuoteClaims

# ATTRIBUTES.FLAGS (SDM volume 3D, table 35-3).
_DEBUG = 1 << 1


class TcbStatus(StrEnum):
    """What the vendor says about the patch level of a platform and its quoting enclave, best first.

    "Intel SGX and TDX DCAP Quoting Library API", TCB statuses. `Revoked` never gets here: such quotes are refused.
    """

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"


@dataclass(frozen=True)
class VerifiedQuote:
    """A quote that is genuine and satisfied its policy. Times are UTC; `report_data` has 64 bytes.

    ``simulated``: it chains to a simulated vendor's root, so it proves nothing about hardware.
    """

    mrenclave: bytes
    mrsigner: bytes
    isv_prod_id: int
    isv_svn: int
    config_id: bytes
    config_svn: int
    attributes: tuple[int, int]
    miscselect: int
    report_data: bytes
    tcb_status: TcbStatus
    advisories: tuple[str, ...]
    platform_status: str
    qe_status: str
    evaluation_number: int
    tcb_date: datetime
    fmspc: bytes
    ppid: bytes
    cpusvn: bytes
    pce_svn: int
    at: datetime
    collateral_issued: datetime
    collateral_expires: datetime
    root: str
    simulated: bool

    @property
    def debug(self) -> bool:
        """Whether the host can read and change everything inside the enclave."""
        return bool(self.attributes[0] & _DEBUG)

    @classmethod
    def from_parts(
        cls,
        body: QuoteBody,
        claims: QuoteClaims,
        *,
        at: datetime,
        issued: datetime,
        root: str,
        simulated: bool,
    ) -> VerifiedQuote:
        return cls(
            mrenclave=body.mrenclave,
            mrsigner=body.mrsigner,
            isv_prod_id=body.isv_prod_id,
            isv_svn=body.isv_svn,
            config_id=body.config_id,
            config_svn=body.config_svn,
            attributes=body.attributes,
            miscselect=body.miscselect,
            report_data=body.report_data,
            tcb_status=TcbStatus(claims.status),
            advisories=tuple(claims.advisories),
            platform_status=claims.platform_status,
            qe_status=claims.qe_status,
            evaluation_number=claims.evaluation_number,
            tcb_date=datetime.fromtimestamp(claims.tcb_date, UTC),
            fmspc=claims.fmspc,
            ppid=claims.ppid,
            cpusvn=claims.platform_cpusvn,
            pce_svn=claims.platform_pce_svn,
            at=at,
            collateral_issued=issued,
            collateral_expires=datetime.fromtimestamp(claims.earliest_expiration, UTC),
            root=root,
            simulated=simulated,
        )

    def as_json(self) -> dict[str, Any]:
        """As ``casemate quote verify --json`` prints it."""
        return {
            "verified": True,
            "simulated": self.simulated,
            "root": self.root,
            "at": stamp(self.at),
            "mrenclave": self.mrenclave.hex(),
            "mrsigner": self.mrsigner.hex(),
            "isv_prod_id": self.isv_prod_id,
            "isv_svn": self.isv_svn,
            "debug": self.debug,
            "attributes": {"flags": f"{self.attributes[0]:#x}", "xfrm": f"{self.attributes[1]:#x}"},
            "miscselect": f"{self.miscselect:#x}",
            "config_id": self.config_id.hex(),
            "config_svn": self.config_svn,
            "report_data": self.report_data.hex(),
            "tcb_status": str(self.tcb_status),
            "advisories": list(self.advisories),
            "platform_status": self.platform_status,
            "qe_status": self.qe_status,
            "evaluation_number": self.evaluation_number,
            "tcb_date": stamp(self.tcb_date),
            "fmspc": self.fmspc.hex().upper(),
            "ppid": self.ppid.hex(),
            "cpusvn": self.cpusvn.hex(),
            "pce_svn": self.pce_svn,
            "collateral_issued": stamp(self.collateral_issued),
            "collateral_expires": stamp(self.collateral_expires),
        }


def stamp(time: datetime) -> str:
    """RFC 3339, in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
