"""Which share of every minibatch is trained here, and means over all shares. PyTorch is imported where others share."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple


class Replica(NamedTuple):
    """(0, 1) without Ray Train, which connects its workers by torch.distributed."""

    rank: int
    size: int

    @classmethod
    def here(cls) -> "Replica":
        if "torch" in sys.modules:  # otherwise nobody can have connected us
            from torch import distributed

            if distributed.is_available() and distributed.is_initialized():
                return cls(distributed.get_rank(), distributed.get_world_size())
        return cls(0, 1)

    def averaged(self, parts: Sequence[Any]) -> None:
        """Replace single-precision arrays, or tensors, by their means over all replicas, in one message."""
        if self.size == 1:
            return
        import torch

        tensors = [torch.as_tensor(part) for part in parts]  # an array shares its memory
        flat = torch.cat([part.reshape(-1) for part in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for part, mean in zip(tensors, flat.split([part.numel() for part in tensors]), strict=True):
            part.copy_(mean.reshape(part.shape))
