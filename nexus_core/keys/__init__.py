"""Client keys made at run time: their store, their limits, and what each of them may use."""
