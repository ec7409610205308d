"""Search over recipes and shapes for the best bundle that stays within limits.

Every trial converts, judges as `convert` does, scores beside float32 and measures; a journal, a
line of JSON for each trial, makes the search resumable. Quality is perplexity: the trial that
raises it least wins, the smaller file among equals.
"""

from foreword.tune.outcomes import Limits, Outcome, best, pareto
from foreword.tune.search import Found, search
from foreword.tune.trials import Plan, Trial, plan

__all__ = ["Found", "Limits", "Outcome", "Plan", "Trial", "best", "pareto", "plan", "search"]
