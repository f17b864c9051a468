"""The same update of G in PyTorch, in a process without TensorFlow: a contender of `benchmarks.training`.

Nothing here may import TensorFlow or Keras (`benchmarks.worker` says why), so weights, data and constants
come with the job.
"""

import os

import numpy as np
import torch


def make(job):
    """``{"pytorch": function}`` and PyTorch's version and build, for `benchmarks.worker`.

    The job is a configuration of `benchmarks.training`, the ``constants`` of the loss and of Adam, and an
    .npz file of ``inputs``, ``targets`` and Keras's weights by number.
    """
    torch.set_num_threads(int(os.environ["TF_NUM_INTRAOP_THREADS"]))
    torch.set_num_interop_threads(int(os.environ["TF_NUM_INTEROP_THREADS"]))
    with np.load(job["arrays"]) as arrays:
        inputs, targets = torch.tensor(arrays["inputs"]), torch.tensor(arrays["targets"])
        weights = [torch.tensor(arrays[str(n)].T) for n in range(len(arrays) - 2)]
    cuda = torch.version.cuda
    facts = {"torch": torch.__version__, "torch_build": f"CUDA {cuda}" if cuda else "CPU"}
    return {"pytorch": updates(job, job["constants"], weights, inputs, targets)}, facts


def updates(config, constants, weights, inputs, targets):
    """torch.nn.LSTM, eager, as PyTorch is used by default; the function returns the mean loss."""
    units, layers, batch = config["units"], config["layers"], config["batch"]
    lstm = torch.nn.LSTM(1, units, layers, batch_first=True)
    hidden_units, (outputs, _) = len(weights[-4]), weights[-2].shape
    dense, out = torch.nn.Linear(units, hidden_units), torch.nn.Linear(hidden_units, outputs)
    with torch.no_grad():
        for layer in range(layers):
            names = (f"weight_ih_l{layer}", f"weight_hh_l{layer}", f"bias_ih_l{layer}")
            for name, weight in zip(names, weights[3 * layer :], strict=False):
                getattr(lstm, name).copy_(weight)
            # PyTorch has a second bias that does the same; trained, it would double the steps of the first.
            getattr(lstm, f"bias_hh_l{layer}").zero_().requires_grad_(False)
        trailing = (dense.weight, dense.bias, out.weight, out.bias)
        for parameter, weight in zip(trailing, weights[-4:], strict=True):
            parameter.copy_(weight)
    parameters = [p for module in (lstm, dense, out) for p in module.parameters() if p.requires_grad]
    adam = torch.optim.Adam(parameters, constants["learning_rate"], eps=constants["epsilon"])
    log_floor = torch.tensor(np.log(constants["sigma_floor"]), dtype=torch.float32)
    carried = {"state": (torch.zeros(layers, batch, units), torch.zeros(layers, batch, units))}

    def run():
        losses = []
        for x, y in zip(inputs.split(batch), targets.split(batch), strict=True):
            hidden, state = lstm(x, carried["state"])
            carried["state"] = tuple(s.detach() for s in state)
            logits, means, log_sigmas = out(torch.sigmoid(dense(hidden))).chunk(3, -1)
            log_sigmas = torch.logaddexp(log_sigmas, log_floor)
            distance = (y - means) * torch.exp(-log_sigmas)
            log_densities = -0.5 * distance**2 - log_sigmas - constants["half_log_2pi"]
            loss = -torch.logsumexp(torch.log_softmax(logits, -1) + log_densities, -1).mean()
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, constants["clip"])
            adam.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    return run
