"""``uss-evaluate``: ``command`` parses; ``lists``, ``scenes`` and ``calibrate`` run and print."""
