"""What a separator is asked with: queries, and what makes conditions of them."""
