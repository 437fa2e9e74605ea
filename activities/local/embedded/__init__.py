"""The embedded local model: scikit-learn, trained on the teacher's answers alone. No GPU, no download, no key."""
