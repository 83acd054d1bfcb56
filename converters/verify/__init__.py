"""Original and result run on the same data, and judged."""
