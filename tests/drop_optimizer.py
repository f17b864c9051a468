"""Make the checkpoint of a finished run a third of its size: final weights only.

For maintainers, before they commit checkpoints: python tests/drop_optimizer.py FILE...
"""

import sys

from sensegen_utils.model import training
from sensegen_utils.model.generator import load_generator


def drop_optimizer(checkpoint):
    """Write a checkpoint anew, without its optimizer: it can be loaded, but not trained on."""
    training._write(
        load_generator(checkpoint)[0], checkpoint, training._read(checkpoint) | {"optimizer": False}
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        drop_optimizer(name)
