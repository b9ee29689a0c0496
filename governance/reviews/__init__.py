"""The review desk: the queue, what a reviewer sees, and the verdict."""
