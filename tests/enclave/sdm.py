"""MRENCLAVE a second time, from the pseudo-code of the SDM alone (volume 3D, 38.3: ECREATE, EADD, EEXTEND, EINIT).

Written without looking at ``runtime/sgx``, so that the two can disagree. Nothing here is fast or shared.
"""

from __future__ import annotations

import hashlib

PT_TCS = 1


class Enclave:
    """TMP_SECS.MRENCLAVE and its update counter."""

    def __init__(self, ssaframesize: int, size: int) -> None:
        self.sha = hashlib.sha256()
        self.updates = 0
        # TMPUPDATEFIELD[63:0] <- 0045544145524345H; [95:64] <- SSAFRAMESIZE; [159:96] <- SIZE; [511:160] <- 0
        field = 0x0045544145524345 | ssaframesize << 64 | size << 96
        self._update(field.to_bytes(64, "little"))

    def eadd(self, offset: int, secinfo_flags: int) -> None:
        if secinfo_flags >> 8 & 0xFF == PT_TCS:
            secinfo_flags &= ~0b111  # "For TCS pages, force EPCM.rwx bits to 0"
        secinfo = secinfo_flags.to_bytes(64, "little")
        # [63:0] <- 0000000044444145H; [127:64] <- TMP_ENCLAVEOFFSET; [511:128] <- SCRATCH_SECINFO[375:0]
        field = (0x0000000044444145).to_bytes(8, "little") + offset.to_bytes(8, "little") + secinfo[:48]
        self._update(field)

    def eextend(self, offset: int, chunk: bytes) -> None:
        # [63:0] <- 00444E4554584545H; [127:64] <- TMP_ENCLAVEOFFSET; [511:128] <- 0; then 4 x 64 bytes
        field = 0x00444E4554584545 | offset << 64
        self._update(field.to_bytes(64, "little"))
        for start in (0, 64, 128, 192):
            self._update(chunk[start : start + 64])

    def einit(self) -> bytes:
        # SHA256FINAL(MRENCLAVE, update count * 512): hashlib counts the bits itself.
        assert self.updates * 64 == self.length
        return self.sha.digest()

    length = 0

    def _update(self, block: bytes) -> None:
        assert len(block) == 64
        self.sha.update(block)
        self.updates += 1
        self.length += len(block)
