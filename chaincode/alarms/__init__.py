"""The chaincode ``alarms``: what people do about alarms, after ISA-18.2: acknowledge, shelve with an end, unshelve."""
