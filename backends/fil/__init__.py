"""FIL: serves tree models of XGBoost, LightGBM and scikit-learn by Treelite."""
