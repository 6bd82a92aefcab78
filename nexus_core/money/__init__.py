"""Money: token prices, charges of requests, budgets, the ledger and what it says."""
