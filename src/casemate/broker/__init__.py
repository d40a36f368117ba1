"""The broker: the data owner's server. It judges enclaves' quotes, releases secrets to those that the owner's policies
accept, takes their results back, and keeps a log of every decision.

    home        the directory with the broker's own key, token and master key
    sealing     encryption at rest
    tables, database, vault, results, journal    what is kept, and how
    judging     is this quote genuine, and what does it prove
    release     the one decision
    wire        TLS for asyncio, with time limits
    enclave_api, provisioning, admin_api    what is served on the three ports
    serve       the process

Nothing here prints or logs a secret, and no secret is in an exception's text.
"""
