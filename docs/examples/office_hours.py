"""An interceptor in fifteen lines: tools rest at night."""

from collections.abc import Callable
from datetime import datetime

from douane.flow.chain import Gate, Stage
from douane.protocol.call import Call
from douane.protocol.outcome import Outcome, Refused


def make(now: Callable[[], datetime], opens: int = 8, closes: int = 18) -> Gate:
    def check(call: Call) -> Call | Outcome:
        if call.method == "tools/call" and not opens <= now().hour < closes:
            return Refused(1403, f"policy: tools may be called from {opens}:00 to {closes}:00")
        return call

    return Gate("office_hours", Stage.GUARD, check)
