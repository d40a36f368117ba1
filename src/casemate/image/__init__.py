"""Container images: reading and writing them, scanning their layers, making the shielded one.

Nothing from an image is executed, unpacked to a temporary tree, or believed before its digest was
checked. Modules, outermost first: ``build`` and ``store`` (what the commands call), ``shielded``,
``scan``, the transports (``sources``, ``writers`` and theirs), ``layers`` and ``tarstream``.
"""
