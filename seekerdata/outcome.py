"""Outcome: what becomes of every item of a stage that decides, from the ledger's rows of what was found out about it.

Both rows stay in the ledger, under keys of their own; the outcome is the current one. A changed threshold makes a new
outcome of the same findings.
"""

from typing import Any

from seekerdata.ledger import Ledger
from seekerdata.sample import digest
from seekerdata.stage import Drop, Item, Stage, Status


def decide_all(name: str, worker: Stage, assigned: dict[str, Any], ledger: Ledger) -> None:
    """Say what becomes of every item, from the rows of what was found out, which stay in the ledger beside it."""
    fingerprint, decided = worker.fingerprint_without(frozenset()), list[tuple[str, str]]()
    for item_id, found_key in ledger.keys(name):
        share = assigned.get(item_id)
        key = digest([fingerprint, found_key, share])
        row = ledger.find(name, item_id, key)
        if row and row.status is not Status.FAILED:  # a failed one was perhaps mended since
            decided.append((item_id, key))
            continue
        found = ledger.find(name, item_id, found_key)
        assert found is not None, "it was current"
        result = worker.decide(Item.model_validate_json(found.output), share) if found.status is Status.KEPT else None
        if isinstance(result, Drop):
            found = found._replace(status=Status.DROPPED, reason=result.reason, output="")
        elif result:
            found = found._replace(output=result.model_dump_json())
        ledger.add(found._replace(key=key))
    ledger.mark(name, decided)
