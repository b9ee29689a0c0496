"""What a flood of log costs."""
