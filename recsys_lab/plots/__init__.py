"""Tables in, matplotlib figures out. No figure keeps state, none needs a screen, all look alike."""

from recsys_lab.plots.data import popularity_curve, rating_histogram, split_timeline, timeline, user_activity
from recsys_lab.plots.drift import drift_curves
from recsys_lab.plots.models import factor_map, named_bars, principal_plane, weight_map
from recsys_lab.plots.neural import layer_picture
from recsys_lab.plots.protocols import model_panels, protocol_dots, share_map, verdict_bars
from recsys_lab.plots.ranks import critical_difference
from recsys_lab.plots.results import leaderboard_dots, loss_curves, parameter_curve, trade_off
from recsys_lab.plots.searches import search_curves
from recsys_lab.plots.segments import segment_dots
from recsys_lab.plots.served import difference_dots, rank_changes
from recsys_lab.plots.style import Plot, to_png, to_svg
from recsys_lab.plots.windows import window_curves

__all__ = [
    "Plot",
    "critical_difference",
    "difference_dots",
    "drift_curves",
    "factor_map",
    "layer_picture",
    "leaderboard_dots",
    "loss_curves",
    "model_panels",
    "named_bars",
    "parameter_curve",
    "popularity_curve",
    "principal_plane",
    "protocol_dots",
    "rank_changes",
    "rating_histogram",
    "search_curves",
    "segment_dots",
    "share_map",
    "split_timeline",
    "timeline",
    "to_png",
    "to_svg",
    "trade_off",
    "user_activity",
    "verdict_bars",
    "weight_map",
    "window_curves",
]
