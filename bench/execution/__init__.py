"""What a governed run costs, next to a bare process and a hand-written Celery task."""
