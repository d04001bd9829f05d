"""Raft for the orderers: a pure core, a write-ahead log, and a node that drives one group per channel.

What the orderer codes against is in ``interface`` (types and protocols); the engine behind it is ``node.RaftNode``:

    node = await RaftNode.open("orderer1", directory, transport, RaftSettings(), random=Random())
    await node.add_group("shard1", ["orderer1", "orderer2", "orderer3"], machine, applied=machine.applied_index)
    index = await node.propose("shard1", data)

See docs/raft.md.
"""
