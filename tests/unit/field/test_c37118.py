"""Frames of C37.118: the standard's examples to the byte, random configurations and data there and back, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger.field.c37118 import (
    AnalogChannel,
    Cfg3Assembler,
    Command,
    CommandFrame,
    Configuration,
    DataCodec,
    DataFrame,
    DigitalChannel,
    Format,
    Fragment,
    FrameDecoder,
    FrameError,
    FrameTime,
    FrameType,
    HeaderFrame,
    PhasorChannel,
    PmuConfig,
    PmuData,
    Stat,
    checksum,
    decode_cfg3,
    decode_command,
    decode_configuration,
    decode_header,
    encode_cfg3,
    encode_command,
    encode_configuration,
    encode_header,
    read_head,
    time_at,
)
from gridledger.field.c37118.config import MAX_PMUS
from gridledger.field.c37118.frame import put_frame
from tests.support.examples import examples
from tests.support.pmu_frames import (
    STANDARD_COMMAND,
    STANDARD_CONFIGURATION,
    STANDARD_DATA,
    body_of,
    configurations,
    phasor_by_the_standard,
    times,
    wire_values,
)

NOW = FrameTime(1_700_000_000, 0)
SLOW = settings(
    deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def stream(*pmus: PmuConfig, kind: FrameType = FrameType.CFG2) -> Configuration:
    """A small configuration."""
    return Configuration(kind, 7, NOW, pmus or (PmuConfig("A", 7, phasors=(PhasorChannel("V"),)),), 50)


def refused(field: str, frame: bytes) -> None:
    """Expect that a fresh decoder refuses the frame because of ``field``."""
    with pytest.raises(FrameError) as error:
        FrameDecoder().decode(frame)
    assert error.value.code == "BAD_PMU_FRAME"
    assert error.value.details["field"] == field


def resealed(frame: bytes) -> bytes:
    """The frame with a CHK that holds."""
    return frame[:-2] + checksum(frame[:-2]).to_bytes(2, "big")


def test_the_standards_example_decodes_as_it_says() -> None:
    config = decode_configuration(STANDARD_CONFIGURATION)
    assert (config.idcode, config.data_rate, config.time_base, config.pmus[0].change_count) == (7734, 30, 1_000_000, 22)
    assert config.time.leap_second_pending
    assert config.time.leap_second_deleted
    assert not config.time.leap_second_occurred
    assert config.time.time_quality == 6
    assert config.time.time_us(config.time_base) == 1_149_577_200_463_000
    (pmu,) = config.pmus
    assert pmu.station == "Station A"
    assert [channel.name for channel in pmu.phasors] == ["VA", "VB", "VC", "I1"]
    assert [channel.kind for channel in pmu.analogs] == [0, 1, 2]
    assert pmu.digitals[0].labels[15] == "BREAKER G STATUS"
    (data,) = DataCodec(config).decode(STANDARD_DATA).pmus
    assert data.phasors[0] == 14_635 * 915_527 / 100_000
    assert abs(data.phasors[1]) == pytest.approx(133_987, rel=2e-4)
    assert math.degrees(math.atan2(data.phasors[1].imag, data.phasors[1].real)) == pytest.approx(-120, abs=0.01)
    assert data.freq_hz == 62.5
    assert data.analogs == (100.0, 1000.0, 10_000.0)
    assert data.digitals == (0x3C12,)


def test_the_standards_examples_are_written_byte_for_byte() -> None:
    config = decode_configuration(STANDARD_CONFIGURATION)
    assert encode_configuration(config) == STANDARD_CONFIGURATION
    codec = DataCodec(config)
    assert codec.encode(codec.decode(STANDARD_DATA)) == STANDARD_DATA
    command = decode_command(STANDARD_COMMAND)
    assert command.code == Command.DATA_ON
    assert encode_command(command) == STANDARD_COMMAND


@SLOW
@given(configurations())
def test_configurations_come_back_as_they_were(config: Configuration) -> None:
    if config.kind is FrameType.CFG3:
        assert decode_cfg3(encode_cfg3(config)[0]) == config
    else:
        assert decode_configuration(encode_configuration(config)) == config


@SLOW
@given(configurations((FrameType.CFG2, FrameType.CFG3)), times, st.integers(0, 1 << 32).map(Random))
def test_data_is_read_as_the_standards_tables_say(config: Configuration, time: FrameTime, random: Random) -> None:
    values = wire_values(config, random)
    frame = put_frame(FrameType.DATA, 1, config.idcode, time, body_of(config, values))
    decoded = DataCodec(config).decode(frame)
    for pmu, numbers, found in zip(config.pmus, values, decoded.pmus, strict=True):
        assert found.stat.word == numbers[0]
        for at, phasor in enumerate(found.phasors):
            expected = phasor_by_the_standard(config, pmu, at, *numbers[1 + 2 * at : 3 + 2 * at])
            assert abs(phasor - expected) <= 1e-9 * max(1.0, abs(expected))
        freq, rocof = numbers[1 + 2 * len(pmu.phasors) :][:2]
        if pmu.format.float_freq:
            assert (found.freq_hz, found.rocof_hz_s) == (freq, rocof)
        else:
            assert found.freq_hz == pytest.approx(pmu.nominal_hz + freq * 1e-3)
            assert found.rocof_hz_s == pytest.approx(rocof * 1e-2)
        digitals = numbers[len(numbers) - len(pmu.digitals) :]
        assert list(found.digitals) == digitals


@SLOW
@given(configurations((FrameType.CFG2,)), times, st.integers(0, 1 << 32).map(Random))
def test_data_in_all_formats_comes_back_as_it_was(config: Configuration, time: FrameTime, random: Random) -> None:
    values = wire_values(config, random)
    frame = put_frame(FrameType.DATA, 1, config.idcode, time, body_of(config, values))
    codec = DataCodec(config)
    again = codec.encode(codec.decode(frame))
    if not any(pmu.format.polar for pmu in config.pmus):
        assert again == frame
        return
    first, second = codec.decode(frame), codec.decode(again)
    assert second.time == first.time
    for pmu, one, other in zip(config.pmus, first.pmus, second.pmus, strict=True):
        for channel, here, there in zip(pmu.phasors, one.phasors, other.phasors, strict=True):
            step = 0 if pmu.format.float_phasors else channel.factor * 1e-5
            assert abs(here - there) <= step * 1e-3 + 2e-4 * abs(here)
        assert replace(one, phasors=()) == replace(other, phasors=())


@pytest.mark.parametrize("word", range(16))
def test_absent_values_are_nan_and_written_as_absent(word: int) -> None:
    form = Format.of(word)
    assert form.word == word
    pmu = PmuConfig("A", 7, form, (PhasorChannel("V", factor=100),), (AnalogChannel("X"),), nominal_hz=50)
    codec = DataCodec(stream(pmu))
    absent = PmuData(Stat(0x8000), (complex(math.nan, math.nan),), math.nan, math.nan, (math.nan,))
    (found,) = codec.decode(codec.encode(DataFrame(7, NOW, (absent,)))).pmus
    assert not found.stat.is_good
    assert all(map(math.isnan, (found.phasors[0].real, found.freq_hz, found.rocof_hz_s, found.analogs[0])))


@SLOW
@given(configurations((FrameType.CFG3,)), st.integers(1, 400))
def test_a_cfg3_comes_back_from_fragments(config: Configuration, fragment_bytes: int) -> None:
    frames = encode_cfg3(config, fragment_bytes=fragment_bytes)
    decoder = FrameDecoder()
    decoded = [decoder.decode(frame) for frame in frames]
    assert all(isinstance(found, Fragment) for found in decoded[:-1])
    assert decoded[-1] == config


def test_a_cfg3_of_many_pmus_takes_several_frames() -> None:
    pmu = PmuConfig("x" * 255, 7, phasors=tuple(PhasorChannel(f"V{at}" + "é" * 100) for at in range(6)))
    config = stream(*[pmu] * 300, kind=FrameType.CFG3)
    frames = encode_cfg3(config)
    assert len(frames) > 2
    assert {read_head(frame).kind for frame in frames} == {FrameType.CFG3}
    decoder = FrameDecoder()
    assert [decoder.decode(frame) for frame in frames][-1] == config


def test_a_fragment_that_does_not_follow_is_refused() -> None:
    one, two, three, last = encode_cfg3(stream(kind=FrameType.CFG3), fragment_bytes=20)[:4]
    assembler = Cfg3Assembler()
    assembler.add(one)
    with pytest.raises(FrameError, match="cont_idx: the fragment 3 came where 2 was expected"):
        assembler.add(three)
    with pytest.raises(FrameError, match="cont_idx"):
        assembler.add(two)
    refused("cont_idx", last)


def test_fragments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridledger.field.c37118.config3.MAX_CFG3_BYTES", 50)
    assembler = Cfg3Assembler()
    body = bytes(40)
    assembler.add(put_frame(FrameType.CFG3, 2, 7, NOW, b"\0\1" + body))
    with pytest.raises(FrameError, match="size: the fragments are longer"):
        assembler.add(put_frame(FrameType.CFG3, 2, 7, NOW, b"\0\2" + body))


def test_stat_names_every_bit() -> None:
    assert Stat(0).named() == {
        "data_error": "good",
        "unsynchronised": False,
        "sorted_by_arrival": False,
        "triggered": False,
        "config_changes": False,
        "modified": False,
        "time_quality": 0,
        "unlocked": "locked or less than 10 s",
        "trigger_reason": "manual",
    }
    single = {
        0x4000: ("data_error", "pmu error"),
        0x8000: ("data_error", "test mode or absent"),
        0xC000: ("data_error", "do not use"),
        0x2000: ("unsynchronised", True),
        0x1000: ("sorted_by_arrival", True),
        0x0800: ("triggered", True),
        0x0400: ("config_changes", True),
        0x0200: ("modified", True),
        0x01C0: ("time_quality", 7),
        0x0030: ("unlocked", "more than 1000 s"),
        0x0005: ("trigger_reason", "df/dt high"),
        0x000F: ("trigger_reason", "user 15"),
    }
    for word, (name, value) in single.items():
        assert Stat(word).named() == Stat(0).named() | {name: value}
        assert Stat(word).is_good == (word < 0x4000)


def test_a_negative_data_rate_is_seconds_a_frame() -> None:
    config = decode_configuration(encode_configuration(replace(stream(), data_rate=-5)))
    assert (config.data_rate, config.interval_s) == (-5, 5.0)
    assert replace(config, data_rate=50).interval_s == 0.02


@given(st.integers(0, 2**51), st.sampled_from((1_000_000, 0xFFFFFF, 90_000)))
def test_times_are_kept_to_the_time_base(time_us: int, time_base: int) -> None:
    time = time_at(time_us % (2**32 * 1_000_000 - 1_000_000), time_base)
    assert 0 <= time.fraction < time_base
    slack = 0 if time_base == 1_000_000 else 1_000_000 // time_base + 1
    assert abs(time.time_us(time_base) - time_us % (2**32 * 1_000_000 - 1_000_000)) <= slack


def test_headers_and_extended_commands_come_back() -> None:
    header = HeaderFrame(7, NOW, "Bogotá, bus 4")
    assert decode_header(encode_header(header)) == header
    command = CommandFrame(7, NOW, Command.EXTENDED, b"anything")
    assert decode_command(encode_command(command)) == command
    refused("cmd", put_frame(FrameType.COMMAND, 1, 7, NOW, b"\0"))


def test_what_no_configuration_can_be_is_refused() -> None:
    good = encode_configuration(stream())
    assert isinstance(FrameDecoder().decode(good), Configuration)
    refused("num_pmu", put_frame(FrameType.CFG2, 1, 7, NOW, b"\0\x0f\x42\x40\0\0\0\x32"))
    for at, value, field in ((14, b"\0\0\0\0", "time_base"), (18, b"\xff\xff", "num_pmu")):
        refused(field, resealed(good[:at] + value + good[at + len(value) :]))
    refused("phnmr", resealed(good[:40] + b"\xff\xff" + good[42:]))
    refused("chnam", resealed(good[:42] + b"\x0f\xff" + good[44:]))
    refused("data_rate", resealed(good[:-4] + b"\x80\x00" + good[-2:]))
    refused("size", put_frame(FrameType.CFG2, 1, 7, NOW, good[14:-2] + b"x"))
    wide = PmuConfig("A", 7, phasors=(PhasorChannel("V"),) * 8_200)
    with pytest.raises(FrameError, match="size: a data frame would have"):
        encode_configuration(stream(wide))
    with pytest.raises(FrameError, match="num_pmu"):
        encode_configuration(stream(*[PmuConfig("A", 7)] * (MAX_PMUS + 1)))


@pytest.mark.parametrize(
    ("field", "pmu"),
    [
        ("chnam", PmuConfig("x" * 17, 7)),
        ("chnam", PmuConfig("Ω", 7)),
        ("chnam", PmuConfig("A", 7, digitals=(DigitalChannel(("one",)),))),
        ("phunit", PmuConfig("A", 7, phasors=(PhasorChannel("V", factor=1 << 24),))),
        ("anunit", PmuConfig("A", 7, analogs=(AnalogChannel("X", factor=1 << 23),))),
        ("fnom", PmuConfig("A", 7, nominal_hz=55)),
        ("pmu", PmuConfig("A", 1 << 16)),
    ],
)
def test_what_no_frame_can_carry_is_refused_at_writing(field: str, pmu: PmuConfig) -> None:
    with pytest.raises(FrameError, match=f"^{field}: "):
        encode_configuration(stream(pmu))


def test_values_that_do_not_fit_are_refused() -> None:
    pmu = PmuConfig("A", 7, Format.of(0), (PhasorChannel("V", factor=100),))
    good = PmuData(Stat(0), (1 + 1j,), 60.0, 0.0)
    codec = DataCodec(stream(pmu))
    assert codec.decode(codec.encode(DataFrame(7, NOW, (good,)))).pmus == (good,)
    for bad, field in (
        (replace(good, phasors=(40 + 0j,)), "phasor"),
        (replace(good, freq_hz=100.0), "freq"),
        (replace(good, rocof_hz_s=400.0), "dfreq"),
        (replace(good, phasors=()), "pmu"),
        (replace(good, stat=Stat(1 << 16)), "data"),
    ):
        with pytest.raises(FrameError, match=f"^{field}: "):
            codec.encode(DataFrame(7, NOW, (bad,)))


def test_data_without_its_configuration_is_refused() -> None:
    refused("idcode", STANDARD_DATA)
    decoder = FrameDecoder()
    assert isinstance(decoder.decode(resealed(bytes([0xAA, 0x21]) + STANDARD_CONFIGURATION[2:])), Configuration)
    with pytest.raises(FrameError, match="idcode: the configuration of stream 7734"):
        decoder.decode(STANDARD_DATA)
    decoder.decode(STANDARD_CONFIGURATION)
    assert isinstance(decoder.decode(STANDARD_DATA), DataFrame)
    other = put_frame(FrameType.DATA, 1, 7735, NOW, STANDARD_DATA[14:-2])
    with pytest.raises(FrameError, match="idcode: the frame is of stream 7735"):
        decoder.codecs[7734].decode(other)
    short = put_frame(FrameType.DATA, 1, 7734, NOW, STANDARD_DATA[14:-4])
    with pytest.raises(FrameError, match="size: the frame has 50 bytes; by its configuration it has 52"):
        decoder.decode(short)


def test_the_streams_of_a_connection_are_bounded() -> None:
    decoder = FrameDecoder()
    for idcode in range(64):
        decoder.decode(encode_configuration(replace(stream(), idcode=idcode)))
    with pytest.raises(FrameError, match="64 streams are the most"):
        decoder.decode(encode_configuration(replace(stream(), idcode=64)))
    decoder.decode(encode_configuration(replace(stream(), idcode=63)))


def mutants_accepted(count: int, seed: int) -> tuple[int, int]:
    """How many mutated frames kept a CHK and a size that hold, and how many were accepted with a wrong field."""
    random = Random(seed)
    config3 = encode_cfg3(replace(decode_configuration(STANDARD_CONFIGURATION), kind=FrameType.CFG3, version=2))[0]
    off = encode_command(CommandFrame(7734, NOW, Command.DATA_OFF))
    originals = (STANDARD_CONFIGURATION, STANDARD_DATA, off, config3)
    decoder = FrameDecoder()
    codec = DataCodec(decode_configuration(STANDARD_CONFIGURATION))
    by_chance = wrong = 0
    for _ in range(count):
        original = random.choice(originals)
        frame = bytearray(original)
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            match random.randrange(8):
                case 0 | 1 | 2:
                    frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)
                case 3 | 4 | 5:
                    frame[random.randrange(len(frame))] = random.randrange(256)
                case 6 if len(frame) > 1:
                    del frame[random.randrange(len(frame)) :]
                case _:
                    frame += random.randbytes(random.randrange(1, 4))
            if not frame:
                break
        if frame == original:
            continue
        data = bytes(frame)
        holds = len(data) > 2 and checksum(data[:-2]) == int.from_bytes(data[-2:], "big")
        by_chance += holds and len(data) == int.from_bytes(data[2:4], "big")
        if random.randrange(8) == 0 and len(data) > 2:
            data = resealed(data)
            holds = True
        decoder.codecs.clear()
        if random.randrange(2):
            decoder.codecs[7734] = codec
        try:
            found = decoder.decode(data)
        except FrameError:
            continue
        size = int.from_bytes(data[2:4], "big")
        wrong += not holds or size != len(data) or (isinstance(found, DataFrame) and len(data) != len(STANDARD_DATA))
        wrong += isinstance(found, DataFrame) and found.idcode != 7734
    return by_chance, wrong


def test_no_mutated_frame_is_accepted_with_a_wrong_field() -> None:
    by_chance, wrong = mutants_accepted(20_000, 1)
    assert wrong == 0
    assert by_chance < 10


@pytest.mark.long
def test_a_million_mutated_frames_do_no_harm() -> None:
    by_chance, wrong = mutants_accepted(1_000_000, 2)
    print(f"1,000,000 mutated frames: the CHK of {by_chance} holds by chance, {wrong} were accepted wrongly")
    assert wrong == 0
    assert by_chance < 60
