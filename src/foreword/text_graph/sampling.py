"""Contrastive search as a text graph can hold it; imported by the child that makes one."""

from __future__ import annotations

from typing import Any

import keras_hub
from keras import ops


class ContrastiveSampler(keras_hub.samplers.Sampler):  # type: ignore[misc]
    """Contrastive search (Su et al. 2022, arXiv 2202.06417) for a batch of one.

    Of the k likeliest tokens the one is taken with the highest (1 - alpha) * probability -
    alpha * its hidden state's largest cosine similarity to those before. KerasHub's own
    sampler, whose text this equals, gathers caches over seven dimensions; LiteRT has six.
    """

    def __init__(self, k: int = 5, alpha: float = 0.6, temperature: float = 1.0) -> None:
        super().__init__(temperature=temperature)
        self.k, self.alpha = k, alpha

    def __call__(
        self,
        next: Any,
        prompt: Any,
        cache: Any = None,
        index: Any = 0,
        mask: Any = None,
        stop_token_ids: Any = None,
        hidden_states: Any = None,
        model: Any = None,
    ) -> Any:
        """Fill `prompt` [1, T] from `index` on; the loop is KerasHub's contract of a sampler."""
        length = prompt.shape[1]
        index = ops.cast(index, "int32")
        logits, _, cache = next(prompt, cache, index)

        def unfinished(prompt: Any, cache: Any, index: Any, logits: Any, hidden: Any) -> Any:
            if stop_token_ids is None:
                return ops.convert_to_tensor(True)
            ended = [(prompt == token) & ops.logical_not(mask) for token in stop_token_ids]
            return ops.logical_not(ops.any(ops.stack(ended)))

        def step(prompt: Any, cache: Any, index: Any, logits: Any, hidden: Any) -> Any:
            shares, candidates = ops.top_k(self.compute_probabilities(logits)[0], self.k)
            chosen = ops.cast(candidates, prompt.dtype)
            given = ops.broadcast_to(prompt[:, index], (self.k,))
            chosen = ops.where(mask[0, index], given, chosen)
            prompts = ops.slice_update(
                ops.repeat(prompt, self.k, axis=0), [0, index], chosen[:, None]
            )
            logits, states, caches = next(prompts, ops.repeat(cache, self.k, axis=0), index + 1)
            likeness = ops.where(ops.arange(length) < index, _cosines(states, hidden[0]), -1.0)
            scores = (1 - self.alpha) * shares - self.alpha * ops.max(likeness, axis=1)
            best = ops.argmax(scores)[None]
            prompt, cache, logits, state = (
                ops.take(each, best, axis=0) for each in (prompts, caches, logits, states)
            )
            hidden = ops.slice_update(hidden, [0, index, 0], state[:, None, :])
            return prompt, cache, index + 1, logits, hidden

        return self.run_loop(
            unfinished,
            step,
            model=model,
            loop_vars=(prompt, cache, index, logits, hidden_states),
            maximum_iterations=length - index,
        )[0]


def _cosines(states: Any, before: Any) -> Any:
    """Cosine similarities [k, T] of states [k, W] to those before, [T, W]."""
    norms = ops.norm(states, axis=-1)[:, None] * ops.norm(before, axis=-1)[None, :]
    return ops.matmul(states, ops.transpose(before)) / norms
