# Generated from book/museum.md by tools/export.py. Edit the chapter, not this file.
"""A museum of bugs.

Faults that were published, each as one changed line, with the picture that it breaks and the test that sees it.

The chapter book/museum.md builds this module and explains each line.
"""

import types
from importlib import resources
from typing import NamedTuple

__all__ = ["broken"]


# -- One line --
class Fault(NamedTuple):
    """A published fault as one changed line.

    Args:
        module: of the package. before, after: the line, right and wrong.
        test: that goes red. where: in what kind of program it was seen.
    """

    module: str
    before: str
    after: str
    test: str
    where: str


# -- One line --
GRID_TESTS, PORTS = "tests/test_filterbank.py::", "ports of DRAW"
GRID = {
    "square": Fault(
        "filterbank",
        "scale = -0.5 * torch.exp(-raw[:, 2].to(g_x))",
        "scale = -0.25 * torch.exp(-2 * raw[:, 2].to(g_x))",
        GRID_TESTS + "test_filters_read_and_write_equal_double_loops",
        PORTS,
    ),
    "stride": Fault(
        "filterbank",
        "i = torch.arange(1, self.n + 1, dtype=g_x.dtype",
        "i = torch.arange(0, self.n, dtype=g_x.dtype",
        GRID_TESTS + "test_zeros_place_the_centres_from_edge_to_edge",
        PORTS,
    ),
    "pixels": Fault(
        "filterbank",
        "a = torch.arange(1, length + 1, dtype=mu.dtype",
        "a = torch.arange(0, length, dtype=mu.dtype",
        GRID_TESTS + "test_zeros_place_the_centres_from_edge_to_edge",
        PORTS,
    ),
    "fade": Fault(
        "filterbank",
        "return torch.softmax((score * scale).clamp(min=-30), -1)",
        "return torch.nn.functional.normalize(torch.exp(scale * (a - mu[..., None]) ** 2), p=1, dim=-1, eps=1e-8)",
        GRID_TESTS + "test_far_outside_reads_the_edge_pixel_with_finite_gradients",
        PORTS,
    ),
}


# -- One line --
VAE_TESTS = "tests/test_vae.py::"
BOUND_FAULTS = {
    "mean": Fault(
        "vae",
        "return pixels.flatten(1).sum(1)",
        "return pixels.flatten(1).mean(1)",
        VAE_TESTS + "test_bernoulli_nats_equals_torch_distributions_and_sums_over_pixels",
        "auto-encoders: a mean over pixels, reported as nats",
    ),
    "once": Fault(
        "vae",
        "return 0.5 * (square - 1 - 2 * log_sigma).sum(-1)",
        "return 0.5 * (square - 2 * log_sigma).sum(-1) - 0.5",
        VAE_TESTS + "test_kl_equals_torch_distributions",
        "ports of DRAW, after the paper's equation 11",
    ),
    "analytic": Fault(
        "vae",
        "log_ratio = squares + log_sigma.sum(1)",
        "log_ratio = -kl_from_standard(mu, log_sigma)",
        VAE_TESTS + "test_many_draws_come_near_the_truth_and_one_is_the_elbo",
        "importance-weighted bounds",
    ),
}


# -- One line --
PEN_TESTS = "tests/test_mixture.py::"
PEN_FAULTS = {
    "epsilon": Fault(
        "mixture",
        "return torch.logsumexp(scores, -1)",
        "return torch.log(1e-5 + scores.exp().sum(-1))",
        PEN_TESTS + "test_a_surprise_of_many_nats_still_pulls",
        "handwriting: log(1e-5 + p)",
    ),
    "sign": Fault(
        "mixture",
        "return torch.sigmoid(-self._e[..., 0])",
        "return torch.sigmoid(self._e[..., 0])",
        PEN_TESTS + "test_a_large_e_hat_keeps_the_pen_down",
        "handwriting: the end of a stroke",
    ),
    "unbounded": Fault(
        "mixture",
        "return torch.exp(held(self._sigma))",
        "return torch.exp(self._sigma)",
        PEN_TESTS + "test_beyond_the_limit_the_edge_holds_and_calls_back",
        "any scale that is the exponential of an output",
    ),
    "leak": Fault(
        "handwriting",
        "cost = -mixture.log_prob(x[1:]).double().cpu()",
        "cost = -mixture.log_prob(x[:-1]).double().cpu()",
        "tests/test_handwriting.py::test_scores_equal_a_loop_over_points",
        "handwriting: the first row as a target",
    ),
}


# -- One line --
TIME_FAULTS = {
    "padding": Fault(
        "alignment",
        "score = score.masked_fill(~mask, -torch.inf)",
        "score = score * mask",
        "tests/test_alignment.py::test_masked_places_get_exactly_zero_and_no_gradient",
        "attention over padded places",
    ),
    "coarse": Fault(
        "window",
        "kappa = kappa.to(torch.promote_types(kappa.dtype, torch.float32))",
        "kappa = kappa.to(torch.bfloat16)",
        "tests/test_window.py::test_equals_the_double_loop",
        "handwriting in half precision",
    ),
    "clipped": Fault(
        "synthesis",
        "codes = nn.functional.pad(codes, (0, 1), value=VOCAB_SIZE)",
        "codes = codes[:, :]",
        "tests/test_synthesis.py::test_sample_lines_is_a_loop",
        "handwriting: no place behind the text",
    ),
    "quadratic": Fault(
        "lstm",
        "for t, x_t in enumerate(x.unbind()):",
        "for t, x_t in enumerate(x[t] for t in range(len(x))):",
        "tests/test_museum.py::test_a_loop_over_time_touches_each_number_a_few_times",
        "loops over time",
    ),
}
FAULTS = {**GRID, **BOUND_FAULTS, **PEN_FAULTS, **TIME_FAULTS}


# -- One line --
def broken(name: str) -> types.ModuleType:
    """A module of the package with one of the museum's faults in it.

    Args:
        name: of the fault; `museum.FAULTS` holds them.

    Returns:
        A module of its own; the real one stays as it is.

    Raises:
        ValueError: if there is no such fault, or its line is gone.
    """
    code = compile(faulty_text(name), f"<{name}>", "exec")
    module = types.ModuleType(f"softattn.{FAULTS[name].module}")
    exec(code, vars(module))
    return module


# -- One line --
def faulty_text(name: str) -> str:
    """The text of the module with the fault's line exchanged."""
    if not isinstance(name, str) or name not in FAULTS:
        known = ", ".join(FAULTS)
        raise ValueError(f"broken: no fault {name!r:.60}; there are {known}")
    fault = FAULTS[name]
    path = resources.files("softattn") / f"{fault.module}.py"
    text = path.read_text("utf-8")
    if text.count(fault.before) != 1:
        raise ValueError(
            f"broken: {fault.module}.py holds the line of {name!r} {text.count(fault.before)} times, expected once"
        )
    return text.replace(fault.before, fault.after)
