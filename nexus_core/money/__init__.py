"""Money: token prices, charges of requests, budgets, ledger and reports."""
