"""Page templates and word catalogues: order, look and words of a derivation. No Python here."""
