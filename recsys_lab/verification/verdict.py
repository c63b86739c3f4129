"""What verification came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recsys_lab.card.size import holds


@dataclass(frozen=True)
class Verdict:
    """One run, verified. ``level``: "bitwise", "ranking", "statistical", "none", or "not run" after a fault."""

    run_id: str
    name: str
    declared: str  # the level that the catalogue promises
    level: str
    faults: tuple[str, ...] = ()  # "tampered metric: ...", "data changed: ...", ...: found before anything was run
    notes: tuple[str, ...] = ()  # other code, other packages, ...: no fault, and maybe the reason of a difference
    difference: str = ""  # the first difference, when the level is not bitwise
    seconds: float = 0.0  # of running again

    @property
    def confirmed(self) -> bool:
        """Whether the run came out again, at its declared level or better."""
        return not self.faults and holds(self.level, self.declared)

    def to_json(self) -> dict[str, Any]:
        """All fields and ``confirmed``, plain values."""
        return asdict(self) | {"confirmed": self.confirmed}

    def __str__(self) -> str:
        lines = [f"{self.run_id[:12]}  {self.name}"]
        lines += [f"  {fault}" for fault in self.faults]
        if self.level != "not run":
            lines.append(f"  run again in {self.seconds:.1f} s: {self.level} (declared: {self.declared})")
        if self.difference:
            lines.append(f"  first difference: {self.difference}")
        lines += [f"  note: {note}" for note in self.notes]
        lines.append(f"  {'CONFIRMED' if self.confirmed else 'NOT CONFIRMED'}")
        return "\n".join(lines)
