"""What the keys do, one room per part of the screen; they reach the app through AppContext."""
