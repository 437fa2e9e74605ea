"""What the local model may be trusted with: proofs from comparisons, and where they put the task."""
