"""What every part of the core shares: a server's state, how it sends, and how it falls back to being a follower.

The core is one object in layers, each a class in a file of its own: ``Server`` (state), ``Replication`` (sections 5.3,
5.4.2 and 7), ``Election`` (5.2, 5.4.1; thesis 3.10, 6.2, 9.6), ``RaftCore`` (the outside: step, tick, propose, ready,
advance).
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable

from services.orderer.raft.interface import Membership, RaftSettings, Role
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import HardState, Kind, Message
from services.orderer.raft.progress import Progress

_NEEDS_NO_DISK = frozenset(
    {
        Kind.APPEND,
        Kind.COMMIT,
        Kind.HEARTBEAT,
        Kind.HEARTBEAT_REPLY,
        Kind.SNAPSHOT,
        Kind.TIMEOUT_NOW,
        Kind.PRE_VOTE,
        Kind.PRE_VOTE_REPLY,
        Kind.DECLINE,
    }
)
"""Messages that may leave before what is unsaved here is durable. A leader's are among them: it counts itself only once
its own disk has the entries (thesis 10.2.1), and it became leader by a vote that was durable. All others promise
something (a vote, an entry held), or rest on the log's end (a vote's request), and wait."""


class Server:
    """State of one server in one group: figure 2's, and what the extensions need."""

    def __init__(
        self,
        node_id: str,
        log: RaftLog,
        hard_state: HardState,
        settings: RaftSettings,
        random: random_module.Random,
        *,
        accepts: Callable[[bytes], bool],
    ) -> None:
        self.node_id = node_id
        self.log = log
        self.settings = settings
        self.accepts = accepts
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.role = Role.FOLLOWER
        self.leader: str | None = None
        self.lead_since = 0
        self.transferee: str | None = None
        self.progress: dict[str, Progress] = {}
        self.declined = 0
        """The entry that this server does not accept, 0 for none."""
        self.outvoted = 0
        """The entry of its own that a majority did not accept when this server led last, 0 for none."""
        self.denials = 0
        """How often followers refused what they had acknowledged."""
        self.notices: list[str] = []
        """What the log should tell of others; whoever drives the core takes it out."""
        self._random = random
        self._votes: dict[str, bool] = {}
        self._election_elapsed = 0
        self._election_timeout = 0
        self._heartbeat_elapsed = 0
        self._ticks = 0
        self._verified = 0
        self._leader_commit = 0
        self._beyond: set[str] = set()
        self.lost_its_log = False
        """Whether a leader knows of entries held here that this log has not: a server that forgot them may not vote."""
        self.quiet = False
        """Whether this server leaves elections to the others."""
        self._now: list[Message] = []
        self._after_save: list[Message] = []
        self._saved_state = hard_state
        self._draw_timeout()

    @property
    def membership(self) -> Membership:
        """The membership in force."""
        return self.log.membership

    @property
    def quorum(self) -> int:
        """How many voters decide."""
        return len(self.membership.voters) // 2 + 1

    @property
    def is_leader(self) -> bool:
        """Whether this server leads its group."""
        return self.role is Role.LEADER

    def _send(self, message: Message) -> None:
        """Queue a message: for at once, or for after the next save where it rests on durable state."""
        if message.kind in _NEEDS_NO_DISK:
            self._now.append(message)
        else:
            self._after_save.append(message)

    def _reset(self, term: int) -> None:
        """Forget what belonged to the former role; a new term forgets the vote."""
        if term != self.term:
            self.term = term
            self.vote = None
        self.leader = None
        self.lead_since = 0
        self.transferee = None
        self.progress = {}
        self._votes = {}
        self._election_elapsed = 0
        self._heartbeat_elapsed = 0
        self._verified = 0
        self._leader_commit = 0
        self._draw_timeout()

    def _draw_timeout(self) -> None:
        """A new random election timeout, in ticks, so that split votes do not repeat (section 5.2)."""
        ticks = self.settings.election_ticks
        self._election_timeout = self._random.randrange(ticks, 2 * ticks)

    def _become_follower(self, term: int, leader: str | None) -> None:
        if self.role is Role.FOLLOWER and term == self.term and leader == self.leader:
            return
        self._reset(term)
        self.role = Role.FOLLOWER
        self.leader = leader
