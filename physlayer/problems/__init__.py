"""What a network is asked: classes, numbers or a mask, each with its loss, score and metrics."""
