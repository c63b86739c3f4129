"""Champion against challenger, judged by what people did with the lists they got (docs/serving.md, Judging)."""

from recsys_lab.judgement.judge import Judgement, judge_shadow, judge_split
from recsys_lab.judgement.replay import replay

__all__ = ["Judgement", "judge_shadow", "judge_split", "replay"]
