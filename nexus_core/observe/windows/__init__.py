"""Numbers of the last minutes: counts now, less the counts of then."""
