"""One thread: the tensors are small, and runs may share the machine."""

import torch

torch.set_num_threads(1)
