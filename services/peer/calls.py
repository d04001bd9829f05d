"""What a client's calls do here: the gateway's routes, for many calls that came together."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.msp import Identity
from gridledger.protocol import calls
from gridledger.web.calls import Answers, Handler
from services.peer import metrics
from services.peer.commit_notifier import Outcome
from services.peer.endorse_calls import AskedFor
from services.peer.peer import Peer


def call_handlers(peer: Peer) -> dict[int, tuple[str, Handler]]:
    """The handlers by kind of call, each with its name."""
    gateway, submitter = peer.gateway, peer.submitter

    def endorse(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        started = time.perf_counter()

        def answer(position: int, outcome: bytes | GridLedgerError) -> None:
            answers(position, outcome)
            metrics.COLLECT_SECONDS.observe(time.perf_counter() - started)

        answers.abandon = gateway.begin_endorsing(bodies, caller, answer).abandon

    def endorse_here(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        asked = AskedFor(peer, answers)
        asked.begin(bodies, caller)
        answers.abandon = asked.abandon

    def submit(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        started = time.perf_counter()

        def answer(position: int, outcome: Outcome | GridLedgerError) -> None:
            if isinstance(outcome, GridLedgerError):
                answers(position, outcome)
            else:
                answers(position, jsontext.dumps(outcome.to_dict()))
                metrics.SUBMIT_SECONDS.observe(time.perf_counter() - started)

        answers.abandon = submitter.begin(bodies, caller, answer).abandon

    def order(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        async def one(envelope: bytes) -> bytes:
            return jsontext.dumps({"tx_id": await submitter.order(envelope, caller)})

        answers.work(answers.each(bodies, one))

    def evaluate(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        answers.work(answers.each(bodies, lambda body: gateway.evaluate(body, caller)))

    return {
        calls.ENDORSE: ("endorse", endorse),
        calls.SUBMIT: ("submit", submit),
        calls.ORDER: ("order", order),
        calls.ENDORSE_HERE: ("endorse_here", endorse_here),
        calls.EVALUATE: ("evaluate", evaluate),
    }
