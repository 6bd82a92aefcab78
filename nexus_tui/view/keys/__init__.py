"""Client keys on the screen: what is known of them, and what is typed about them."""
