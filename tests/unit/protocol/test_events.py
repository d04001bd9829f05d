"""Events of blocks and of chaincode, and their JSON forms."""

from __future__ import annotations

from gridledger import jsontext
from gridledger.protocol import Status
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, CommittedBlock

EVENT = ChaincodeEvent("c", "kv", "Put", {"k": [1, None]}, "t1", block=3, index=1, timestamp_us=5)


def test_line_of_a_chaincode_event_is_read_back() -> None:
    line = jsontext.dumps(EVENT.to_dict())
    assert line == (
        b'{"chaincode":"kv","name":"Put","payload":{"k":[1,null]},"tx_id":"t1","block":3,"index":1,"timestamp":5}'
    )
    assert ChaincodeEvent.from_dict("c", jsontext.loads(line)) == EVENT


def test_line_of_a_block_is_read_back_without_its_events() -> None:
    codes = (Code.MVCC_READ_CONFLICT, Code.VALID)
    block = CommittedBlock("c", 3, "h", 5, "x", ("", "t1"), codes, events=(EVENT,), config_changed=True)
    line = jsontext.dumps(block.to_dict())
    assert line == (
        b'{"channel":"c","number":3,"hash":"h","timestamp":5,"commit_hash":"x",'
        b'"transactions":[{"tx_id":"","code":11},{"tx_id":"t1","code":0}]}'
    )
    assert BlockEvent.from_dict(jsontext.loads(line)) == BlockEvent("c", 3, "h", 5, "x", ("", "t1"), codes)


def test_block_tells_the_status_of_each_transaction() -> None:
    block = BlockEvent("c", 3, "h", 5, "x", ("t0", "t1"), (Code.DUPLICATE_TXID, Code.VALID))
    assert block.transactions == (Status("t0", Code.DUPLICATE_TXID, 3, "x"), Status("t1", Code.VALID, 3, "x"))
