"""Values as text: numbers, costs, safe text, exports, answers, differences."""
