"""The profile sealed: its pinned form, what fewer than t shares look like, and what changed shares come to."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from hashlib import sha256
from itertools import combinations, pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyeclib.ec_iface import ECDriver

from gridledger.sharing import recursive, sealed, shamir
from gridledger.sharing.commitment import root
from gridledger.sharing.errors import ShareBroken, SharingError, TooFewShares
from gridledger.sharing.profiles import join, needed, split

HEAD = b'{"object":"o-1"}'
IDS = [11, 2**64 - 1, 13, 14, 15]


def split_up(data: bytes, t: int = 3, seed: int = 1) -> tuple[dict[int, bytes], str]:
    return sealed.split(data, t, IDS, head=HEAD, randbytes=random.Random(seed).randbytes)


def test_the_pinned_form_by_other_means() -> None:
    """Key of 32 bytes, GCM with the nonce 0, pyeclib's fragments, the key's polynomial; all by the libraries alone."""
    data, drawn = b"reading " * 100, random.Random(5)
    key = drawn.randbytes(32)
    coefficients = [int.from_bytes(key, "big"), *(int.from_bytes(drawn.randbytes(66), "big") >> 7 for _ in range(2))]
    ciphertext = AESGCM(key).encrypt(bytes(12), data, HEAD)
    fragments = ECDriver(k=3, m=2, ec_type="isa_l_rs_cauchy").encode(ciphertext)
    shares, digest = split_up(data, seed=5)
    assert digest == sha256(ciphertext).hexdigest()
    for index, x in enumerate(IDS):
        key_share = sum(c * x**power for power, c in enumerate(coefficients)) % (2**521 - 1)
        front = b"S1" + x.to_bytes(8, "big") + key_share.to_bytes(66, "big")
        assert shares[x][:76] == front
        assert shares[x][156:] == fragments[index][80:]
        assert sealed.assemble(x, key_share, sealed.fragment(shares[x])) == shares[x]
        assert sealed.key_share(shares[x]) == key_share
        assert sealed.key_share_sha256(shares[x]) == sha256(front[10:]).hexdigest()
        assert sealed.share_id(shares[x]) == x


def test_a_fragment_is_the_same_whatever_version_of_the_library_made_it() -> None:
    """The header names versions: here it is always that of pyeclib 1.8.0, and its checksum holds."""
    shares, _ = split_up(b"x" * 100)
    header = sealed.fragment(shares[13])[:80]
    index, size, more, total, checksum = struct.unpack_from("<IIIQB", header)
    assert (index, size, more, total, checksum) == (2, 39, 0, 116, 1)
    assert struct.unpack_from("<BI", header, 54) == (7, 0x020E01)
    assert struct.unpack_from("<III", header, 59) == (0x0B0C5ECC, 0x010800, zlib.crc32(header[:59]))
    assert header[71:] == bytes(9)


@pytest.mark.parametrize(("t", "n"), [(2, 3), (3, 5), (5, 9), (11, 20), (4, 4), (40, 60)])
@pytest.mark.parametrize("length", [0, 1, 1000, 65_537])
def test_sizes_are_exact_and_t_shares_join(t: int, n: int, length: int) -> None:
    drawn = random.Random(length)
    data, ids = drawn.randbytes(length), list(range(1, n + 1))
    shares, digest = sealed.split(data, t, ids, head=b"", randbytes=drawn.randbytes)
    assert {len(share) for share in shares.values()} == {sealed.share_bytes(length, t)}
    assert sealed.share_bytes(length, t) <= (length + 16) / t + 80 + 66 + 8 + 3
    for chosen in (ids[:t], ids[-t:], drawn.sample(ids, t)):
        known = {x: shares[x] for x in chosen}
        assert sealed.join(known, t, ids, head=b"", length=length, cipher=digest) == data
        assert sealed.resplit(data, known, t, ids, head=b"") == shares
        fragments = {x: sealed.fragment(share) for x, share in known.items()}
        assert sealed.rebuild_fragment(fragments, ids[0], t, ids) == sealed.fragment(shares[ids[0]])


def test_every_subset_joins_and_rebuilds_every_fragment() -> None:
    data = random.Random(3).randbytes(500)
    shares, digest = split_up(data)
    for chosen in combinations(IDS, 3):
        known = {x: shares[x] for x in chosen}
        assert sealed.join(known, 3, IDS, head=HEAD, length=500, cipher=digest) == data
        fragments = {x: sealed.fragment(share) for x, share in known.items()}
        for at in IDS:
            assert sealed.rebuild_fragment(fragments, at, 3, IDS) == sealed.fragment(shares[at])
        keys = {x: sealed.key_share(share) for x, share in known.items()}
        assert [shamir.recover_secret(keys, 3, at) for at in IDS] == [sealed.key_share(shares[at]) for at in IDS]


def test_another_head_is_refused() -> None:
    shares, digest = split_up(b"reading")
    with pytest.raises(ShareBroken, match="head was changed"):
        sealed.join(shares, 3, IDS, head=HEAD + b" ", length=7, cipher=digest)


def test_shares_of_two_splits_never_combine() -> None:
    """Old and new shares after a reshare: same data, same ids, another key."""
    (old, old_digest), (new, new_digest) = split_up(b"reading" * 50, seed=1), split_up(b"reading" * 50, seed=2)
    for chosen in combinations(IDS, 3):
        for kept in range(1, 3):
            mixed = {x: (old if at < kept else new)[x] for at, x in enumerate(chosen)}
            for digest in (old_digest, new_digest):
                with pytest.raises(ShareBroken):
                    sealed.join(mixed, 3, IDS, head=HEAD, length=350, cipher=digest)


def flip(share: bytes, drawn: random.Random) -> bytes:
    at = drawn.randrange(8 * len(share))
    return bytes(byte ^ (1 << at % 8) * (at // 8 == i) for i, byte in enumerate(share))


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    flip,
    flip,
    flip,
    lambda share, drawn: share[: drawn.randrange(len(share))],
    lambda share, drawn: share + drawn.randbytes(drawn.randrange(1, 100)),
    lambda share, drawn: share[:76] + bytes(len(share) - 76),
    lambda share, drawn: share[:10] + drawn.randbytes(66) + share[76:],
    lambda share, drawn: share[: (at := drawn.randrange(len(share)))] + drawn.randbytes(len(share) - at),
    lambda share, drawn: share[:76] + drawn.randbytes(80) + share[156:],
    lambda share, drawn: share[:80] + drawn.choice((b"\0\0\0\0", b"\xff\xff\xff\xff")) + share[84:],
    lambda share, drawn: b"",
]


@pytest.mark.parametrize("profile", ["sealed", "article", "shamir", "copies"])
def test_of_1000_changed_shares_each_is_seen_and_none_gives_wrong_data(profile: str) -> None:
    """Its root is another one. Where nobody looks at roots, joining refuses, or what was changed is the code's zeros
    behind the ciphertext, and the data are right."""
    drawn = random.Random(1000)
    data = drawn.randbytes(300)
    cut = split(profile, data, 3, IDS, head=HEAD, randbytes=drawn.randbytes)
    roots = {x: root(share) for x, share in cut.shares.items()}
    tried = refused = 0
    while tried < 1000:
        chosen = drawn.sample(IDS, needed(profile, 3))
        shares = {x: cut.shares[x] for x in chosen}
        victim = drawn.choice(chosen)
        shares[victim] = drawn.choice(MUTATIONS)(shares[victim], drawn)
        if shares[victim] == cut.shares[victim]:
            continue
        tried += 1
        assert root(shares[victim]) != roots[victim]
        try:
            joined = join(profile, shares, 3, IDS, head=HEAD, length=300, cipher_sha256=cut.cipher_sha256)
        except SharingError:
            refused += 1
        else:
            assert joined == data
            assert profile == "sealed"
    assert refused > 990


def test_pyeclib_alone_gives_wrong_data_without_a_word() -> None:
    """Why commitments are checked first. Where this fails, the library has changed for the better."""
    driver = ECDriver(k=3, m=2, ec_type="isa_l_rs_cauchy")
    fragments = driver.encode(b"reading " * 10)
    changed = fragments[4][:80] + bytes([fragments[4][80] ^ 1]) + fragments[4][81:]
    assert driver.decode([fragments[0], fragments[1], changed]) != b"reading " * 10


@pytest.mark.parametrize(
    ("at", "fragments", "says"),
    [
        (12, None, "at: 12 is none"),
        (11, {13: b"", 14: b"", 15: b""}, "more than 80"),
        (11, {13: bytes(200), 14: bytes(200), 15: bytes(200)}, "header"),
        (11, {13: bytes(200)}, "needs 3 of 5"),
    ],
)
def test_what_is_no_fragment_is_refused(at: int, fragments: dict[int, bytes] | None, says: str) -> None:
    given = fragments or {x: sealed.fragment(share) for x, share in split_up(b"x")[0].items()}
    with pytest.raises(SharingError, match=says):
        sealed.rebuild_fragment(given, at, 3, IDS)


def test_a_fragment_of_another_id_or_object_is_refused() -> None:
    one, other = split_up(b"x" * 100)[0], split_up(b"x" * 101)[0]
    fragments = {x: sealed.fragment(share) for x, share in one.items()}
    for wrong in (fragments[14], sealed.fragment(other[13])):
        with pytest.raises(ShareBroken):
            sealed.rebuild_fragment({**{x: fragments[x] for x in (11, 15)}, 13: wrong}, 14, 3, IDS)
    with pytest.raises(TooFewShares):
        sealed.rebuild_fragment({11: fragments[11]}, 13, 3, IDS)


def test_fewer_than_t_are_told_before_any_library_is_asked() -> None:
    data = b"x" * 100
    shares, cipher = split_up(data)
    two = {x: shares[x] for x in (11, 13)}
    fragments = {x: sealed.fragment(share) for x, share in two.items()}
    with pytest.raises(TooFewShares, match="shares: needs 3 of 5, 2 are there"):
        sealed.join(two, 3, IDS, head=b"head", length=100, cipher=cipher)
    with pytest.raises(TooFewShares, match="shares: needs 3 of 5, 2 are there"):
        sealed.resplit(data, two, 3, IDS, head=b"head")
    with pytest.raises(TooFewShares, match="fragments: needs 3 of 5, 2 are there"):
        sealed.every_fragment(fragments, 3, IDS, length=100, cipher=cipher)


def test_an_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SharingError, match=r"ids: 18446744073709551616 is not below 2\^64"):
        sealed.check_ids(2, [1, 2**64])


@pytest.mark.parametrize("share", [b"", b"S1", b"S2" + bytes(200), b"S1" + bytes(74), b"S1" + b"\xff" * 200])
def test_what_is_no_share_is_refused(share: bytes) -> None:
    for read in (sealed.key_share, sealed.fragment, sealed.share_id, sealed.key_share_sha256):
        with pytest.raises(ShareBroken):
            read(share)


# What t - 1 = 2 of 5 shares look like over many splits of one plaintext.


def views(plaintext: bytes, splits: int, seed: int) -> dict[str, list[bytes]]:
    """The varying bytes of two shares and of what two who collude can make of them; an entry a split."""
    drawn = random.Random(seed)
    seen: dict[str, list[bytes]] = {name: [] for name in ("key", "keys xor", "keys sum", "fragment", "fragments xor")}
    for _ in range(splits):
        shares, _ = sealed.split(plaintext, 3, IDS, head=HEAD, randbytes=drawn.randbytes)
        one, other = shares[IDS[0]], shares[IDS[3]]
        a, b = sealed.key_share(one), sealed.key_share(other)
        low = (1 << 520) - 1  # of 521 bits: whole bytes
        seen["key"].append((a & low).to_bytes(65, "big"))
        seen["keys xor"].append(((a ^ b) & low).to_bytes(65, "big"))
        seen["keys sum"].append((((a + 7 * b) % (2**521 - 1)) & low).to_bytes(65, "big"))
        first, second = one[156:], other[156:]
        seen["fragment"].append(first[:-2])  # the last bytes may be the code's own zeros
        seen["fragments xor"].append(bytes(x ^ y for x, y in zip(first[:-2], second[:-2], strict=True)))
    return seen


def chi_square(counts: list[int]) -> float:
    """Deviation from even counts, in standard deviations."""
    expected = sum(counts) / len(counts)
    freedom = len(counts) - 1
    return (sum((count - expected) ** 2 / expected for count in counts) - freedom) / (2 * freedom) ** 0.5


def bytes_even(texts: list[bytes]) -> float:
    joined = b"".join(texts)
    return chi_square([joined.count(byte) for byte in range(256)])


def bits_even(texts: list[bytes]) -> float:
    """The worst of all bit positions, as far as so many may be off: 0 is the expected maximum."""
    size = 8 * len(texts[0])
    ones = [0] * size
    for text in texts:
        for at, bit in enumerate(f"{int.from_bytes(text, 'big'):0{size}b}"):
            ones[at] += bit == "1"
    worst = max(abs(count - len(texts) / 2) for count in ones) / (len(texts) / 4) ** 0.5
    return worst - 1


def neighbours_even(texts: list[bytes]) -> float:
    counts = [0] * 256
    for text in texts:
        for one, next_one in pairwise(text):
            counts[(one >> 4) * 16 + (next_one >> 4)] += 1
    return chi_square(counts)


def splits_independent(texts: list[bytes]) -> float:
    counts = [0] * 256
    for one, next_one in pairwise(texts):
        for a, b in zip(one, next_one, strict=True):
            counts[a ^ b] += 1
    return chi_square(counts)


PLAINTEXT = b"2026-11-30T02:24:00Z transformer T1 U=110.037 kV\n" * 8
CHECKS = (bytes_even, bits_even, neighbours_even, splits_independent)


@pytest.fixture(scope="module")
def seen() -> dict[str, list[bytes]]:
    return views(PLAINTEXT, 400, seed=20)


@pytest.mark.parametrize("view", ["key", "keys xor", "keys sum", "fragment", "fragments xor"])
@pytest.mark.parametrize("check", CHECKS)
def test_t_minus_1_shares_are_uniform(
    check: Callable[[list[bytes]], float], view: str, seen: dict[str, list[bytes]]
) -> None:
    assert abs(check(seen[view])) < 4.0


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_see_what_is_not_uniform(check: Callable[[list[bytes]], float]) -> None:
    assert check([PLAINTEXT] * 100) > 4.0
    drawn = random.Random(1)
    biased = [bytes(byte & 0xEF if drawn.random() < 0.5 else byte for byte in drawn.randbytes(150)) for _ in range(400)]
    assert check(biased) > 4.0


def statistics_of(texts: list[bytes]) -> dict[str, float]:
    """Means over splits of what a distinguisher may look at, with the standard deviation of a mean."""
    measured = {
        "sum": [float(sum(text)) for text in texts],
        "ones": [float(int.from_bytes(text, "big").bit_count()) for text in texts],
        "zeros": [float(text.count(0)) for text in texts],
        "compressed": [float(len(zlib.compress(text))) for text in texts],
        "distinct": [float(len(set(text))) for text in texts],
        "repeats": [float(sum(a == b for a, b in pairwise(text))) for text in texts],
        "first": [float(text[0]) for text in texts],
        "last": [float(text[-1]) for text in texts],
    }
    return {name: sum(values) / len(values) for name, values in measured.items()} | {
        f"{name} spread": (sum(v * v for v in values) / len(values) - (sum(values) / len(values)) ** 2) ** 0.5
        for name, values in measured.items()
    }


def told_apart(one: list[bytes], other: list[bytes]) -> list[str]:
    """The statistics that differ by more than four standard deviations."""
    a, b = statistics_of(one), statistics_of(other)
    return [
        name
        for name in a
        if not name.endswith(" spread")
        and abs(a[name] - b[name])
        > 4.0 * ((a[f"{name} spread"] ** 2 + b[f"{name} spread"] ** 2) / len(one)) ** 0.5 + 1e-9
    ]


def test_no_test_of_shares_tells_two_plaintexts_of_one_length_apart() -> None:
    zeros = views(bytes(len(PLAINTEXT)), 400, seed=8)
    reading = views(PLAINTEXT, 400, seed=9)
    for view, texts in zeros.items():
        assert {len(text) for text in texts} == {len(text) for text in reading[view]}
        assert told_apart(texts, reading[view]) == [], view


def test_such_tests_tell_what_the_article_leaves_readable() -> None:
    """Two shares of t = 3 give a linear form of the parts: it is one number for each plaintext, whatever is drawn."""
    factors = [2 * x * x + x for x in (1, 2)]

    def form(plaintext: bytes, seed: int) -> set[int]:
        drawn = random.Random(seed)
        told = set()
        for _ in range(20):
            shares = recursive.split(plaintext, 3, [1, 2, 3], lambda: drawn.getrandbits(520))
            one, two = (int.from_bytes(shares[x][:66], "big") for x in (1, 2))
            told.add((one * factors[1] - two * factors[0]) % (2**521 - 1))
        return told

    zeros, reading = form(bytes(100), 1), form(PLAINTEXT[:100], 2)
    assert (len(zeros), len(reading)) == (1, 1)
    assert zeros != reading
    assert told_apart([bytes(50)] * 50, [PLAINTEXT[:50]] * 50) != []


def test_a_share_that_names_another_id_is_refused() -> None:
    shares, digest = split_up(b"reading")
    shares[11] = shares[11][:2] + (12).to_bytes(8, "big") + shares[11][10:]
    with pytest.raises(ShareBroken, match="the share of 11 names another id"):
        sealed.join(shares, 3, IDS, head=HEAD, length=7, cipher=digest)
