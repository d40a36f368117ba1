"""The enclave as its owner sees it: signing keys, measurement, SIGSTRUCT.

Layout, measurement and the SIGSTRUCT's format are Rust (``runtime/sgx``), shared with the loader and the
enclave; here are the private key's operation, what a person chooses, and what a person reads.
"""
