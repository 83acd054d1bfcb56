"""Input for calibration and verification: files, folders, generators, recorded requests."""
