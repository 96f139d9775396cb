"""Pages of the documentation site that are made of something else than Markdown in ``docs``."""
