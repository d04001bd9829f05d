"""What a client's calls do here: the gateway's routes, for many calls that came together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.msp import Identity
from gridledger.protocol.status import Status
from gridledger.transport import call_frames as calls
from gridledger.web.call_stream import Abandon, Answers, Handler
from services.peer import metrics
from services.peer.endorser.remote import AskedFor
from services.peer.gateway.admission import Passage
from services.peer.peer import Peer


def call_handlers(peer: Peer) -> dict[int, tuple[str, Handler]]:
    """The handlers by kind of call, each with its name."""
    gateway, submitter = peer.gateway, peer.submitter

    def endorse_here(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        asked = AskedFor(peer, answers)
        asked.begin(bodies, caller)
        answers.abandon = asked.abandon

    def order(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        async def one(envelope: bytes) -> bytes:
            return jsontext.dumps({"tx_id": await submitter.order(envelope, caller)})

        answers.work(answers.each(bodies, one))

    def evaluate(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        answers.work(answers.each(bodies, lambda body: gateway.evaluate(body, caller)))

    return {
        calls.ENDORSE: ("endorse", _endorse(peer)),
        calls.SUBMIT: ("submit", _submit(peer)),
        calls.ORDER: ("order", order),
        calls.ENDORSE_HERE: ("endorse_here", endorse_here),
        calls.EVALUATE: ("evaluate", evaluate),
    }


def _endorse(peer: Peer) -> Handler:
    def endorse(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        started = time.perf_counter()
        passage = peer.admission.to_endorse(len(bodies))

        def answer(position: int, outcome: bytes | GridLedgerError) -> None:
            passage.leave()
            answers(position, outcome)
            metrics.COLLECT_SECONDS.observe(time.perf_counter() - started)

        def begin(admitted: Sequence[bytes]) -> Abandon:
            return peer.gateway.begin_endorsing(admitted, caller, answer).abandon

        _begin_admitted(peer, passage, bodies, answers, begin)

    return endorse


def _submit(peer: Peer) -> Handler:
    def submit(bodies: Sequence[bytes], caller: Identity, answers: Answers) -> None:
        started = time.perf_counter()
        passage = peer.admission.to_submit(len(bodies))

        def answer(position: int, outcome: Status | GridLedgerError) -> None:
            if isinstance(outcome, GridLedgerError):
                passage.leave()
                answers(position, outcome)
            else:
                passage.leave(committed=True)
                answers(position, jsontext.dumps(outcome.to_dict()))
                metrics.SUBMIT_SECONDS.observe(time.perf_counter() - started)

        def begin(admitted: Sequence[bytes]) -> Abandon:
            return peer.submitter.begin(admitted, caller, answer).abandon

        _begin_admitted(peer, passage, bodies, answers, begin)

    return submit


def _begin_admitted(
    peer: Peer,
    passage: Passage,
    bodies: Sequence[bytes],
    answers: Answers,
    begin: Callable[[Sequence[bytes]], Abandon],
) -> None:
    """Begin the work on those that are admitted; the others are answered before anything is done for them."""
    if passage.admitted < len(bodies):
        busy = peer.admission.busy()
        for position in range(passage.admitted, len(bodies)):
            answers(position, busy)
        bodies = bodies[: passage.admitted]
    if not bodies:
        return
    try:
        stop = begin(bodies)
    except BaseException:
        passage.close()
        raise

    def abandon() -> None:
        passage.close()
        stop()

    answers.abandon = abandon
