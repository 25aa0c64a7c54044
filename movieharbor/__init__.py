"""MovieHarbor's catalogue: films with descriptions, genres and ratings, their embeddings, and the search in them."""
