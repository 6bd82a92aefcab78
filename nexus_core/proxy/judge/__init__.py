"""Judge answers of backends: statuses, bodies, beginnings of streams. Pure."""
