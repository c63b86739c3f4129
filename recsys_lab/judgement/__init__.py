"""Champion against challenger, judged by what people did with the lists they got (docs/serving.md, Judging)."""

from recsys_lab.judgement.drift import drift_over_time
from recsys_lab.judgement.judge import Judgement, judge_shadow, judge_split
from recsys_lab.judgement.replay import as_loaded, replay

__all__ = ["Judgement", "as_loaded", "drift_over_time", "judge_shadow", "judge_split", "replay"]
