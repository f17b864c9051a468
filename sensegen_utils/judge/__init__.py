"""The judges. Beside each number stand its reference, real people, and negative controls (`contenders`)."""
