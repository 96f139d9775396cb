"""How well a separator separates: lists of mixtures, scenes, scores."""
