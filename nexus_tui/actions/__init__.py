"""What the keys do, one room for each part of the screen; they reach the app through a Desk."""
