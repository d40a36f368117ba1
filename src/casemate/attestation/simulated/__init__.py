"""A simulated vendor of SGX platforms: the provisioning side that Intel runs for real ones.

It exists so that everything after the hardware can be developed and tested without it: registration, PCK
certificates, TCB info, QE identity, revocation lists, served as Intel's Provisioning Certification Service serves
them. What it signs proves nothing about hardware; no verifier trusts it unless told to by name. The verifier
(``casemate.attestation``) imports nothing from here.
"""
