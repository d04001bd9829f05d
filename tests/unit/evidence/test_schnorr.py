"""Schnorr proofs: what is computed by other means, what holds, and what does not."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.evidence import p256, schnorr
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.p256 import ORDER, PRIME
from gridledger.evidence.schnorr import Proof
from tests.support.openssl_points import times_g

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 115792089210356248762697446949407573529996955224135760342422259061068512044369
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
USER, OTHER = "pmu-7", '{"channel":"section-plant","device":"pmu-7","seq":1}'
PUBLIC = schnorr.public_of(SECRET)


def ones(count: int) -> bytes:
    return b"\x01" * count


PROOF = schnorr.prove(SECRET, USER, OTHER, randbytes=ones)


def sum_by_hand(left: tuple[int, int] | None, right: tuple[int, int] | None) -> tuple[int, int] | None:
    """The chord and tangent rule, with the inverse by Fermat."""
    if left is None or right is None:
        return left or right
    if left[0] == right[0] and left[1] != right[1]:
        return None
    if left == right:
        slope = (3 * left[0] ** 2 - 3) * pow(2 * left[1], P - 2, P)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], P - 2, P)
    x = (slope**2 - left[0] - right[0]) % P
    return x, (slope * (left[0] - x) - left[1]) % P


def product_by_hand(number: int, point: tuple[int, int] | None) -> tuple[int, int] | None:
    total = None
    while number:
        if number & 1:
            total = sum_by_hand(total, point)
        number, point = number >> 1, sum_by_hand(point, point)
    return total


def point_of(data: bytes) -> tuple[int, int]:
    assert data[0] == 4
    return int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")


def challenge_by_hand(v: bytes, public: bytes, user: str, other: str) -> int:
    digest = sha256()
    g = b"\x04" + GX.to_bytes(32, "big") + GY.to_bytes(32, "big")
    for part in (g, v, public, user.encode(), other.encode()):
        digest.update(bytes([0, 0, len(part) >> 8, len(part) & 255]) + part)
    return int(digest.hexdigest(), 16) % N


def proof_by_openssl(secret: int, v: int, user: str, other: str) -> tuple[bytes, Proof]:
    """The public key, and the proof with this v; its points by OpenSSL."""
    public, point = times_g(secret), times_g(v)
    r = (v - secret * challenge_by_hand(point, public, user, other)) % N
    return public, Proof(point, r.to_bytes(32, "big"))


def both(public: bytes, user: str, other: str, proof: Proof) -> bool:
    """What both ways of checking say alike."""
    fast = schnorr.verify(public, user, other, proof)
    assert schnorr.verify_pure(public, user, other, proof) is fast
    return fast


@pytest.mark.parametrize(
    ("secret", "v", "user"), [(SECRET, 0x1234567890ABCDEF << 130, USER), (1, 2, ""), (N - 1, 77, "ж")]
)
def test_a_proof_that_openssl_and_a_plain_sum_made_holds(secret: int, v: int, user: str) -> None:
    public, proof = proof_by_openssl(secret, v, user, OTHER)
    assert schnorr.public_of(secret) == public
    assert both(public, user, OTHER, proof)
    assert not both(public, user + "x", OTHER, proof)
    assert not both(public, user, OTHER + " ", proof)


def test_a_proof_of_ours_meets_the_equation_by_hand() -> None:
    assert times_g(SECRET) == PUBLIC
    c = challenge_by_hand(PROOF.v, PUBLIC, USER, OTHER)
    right = sum_by_hand(product_by_hand(int.from_bytes(PROOF.r, "big"), (GX, GY)), product_by_hand(c, point_of(PUBLIC)))
    assert right == point_of(PROOF.v)
    assert both(PUBLIC, USER, OTHER, PROOF)
    assert Proof.of(PROOF.text) == PROOF
    assert len(PROOF.text) == 194


def test_the_generator_is_that_of_rfc_6979() -> None:
    # A.2.5, P-256 with SHA-256, messages "sample" and "test"; the key is SECRET.
    k = schnorr.generate(SECRET, sha256(b"sample").digest(), b"")
    assert k == 0xA6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60
    k = schnorr.generate(SECRET, sha256(b"test").digest(), b"")
    assert k == 0xD16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0


def test_a_stuck_random_source_does_not_give_the_key_away() -> None:
    other = schnorr.prove(SECRET, USER, OTHER + " ", randbytes=ones)
    user = schnorr.prove(SECRET, USER + "x", OTHER, randbytes=ones)
    assert len({PROOF.v, other.v, user.v}) == 3
    # With one v for two texts a = (r1 - r2) / (c2 - c1) would be the key.
    for proof, name, text in ((other, USER, OTHER + " "), (user, USER + "x", OTHER)):
        difference = int.from_bytes(PROOF.r, "big") - int.from_bytes(proof.r, "big")
        c1 = challenge_by_hand(PROOF.v, PUBLIC, USER, OTHER)
        c2 = challenge_by_hand(proof.v, PUBLIC, name, text)
        assert difference * pow(c2 - c1, -1, N) % N != SECRET
    # The length of each text counts: moving a letter from one to the other makes another message.
    assert schnorr.prove(SECRET, "ab", "c", randbytes=ones).v != schnorr.prove(SECRET, "a", "bc", randbytes=ones).v
    # A source that works makes another v for the same text.
    assert schnorr.prove(SECRET, USER, OTHER, randbytes=lambda count: b"\x02" * count).v != PROOF.v
    assert schnorr.prove(SECRET, USER, OTHER, randbytes=ones) == PROOF


def test_of_1000_mutations_each_is_refused() -> None:
    draw = random.Random(8235)
    parts = [PUBLIC, USER.encode(), OTHER.encode(), PROOF.v, PROOF.r]
    refused = 0
    for _ in range(1000):
        changed = [bytearray(part) for part in parts]
        part = draw.choice(changed)
        part[draw.randrange(len(part))] ^= 1 << draw.randrange(7)
        public, user, other, v, r = (bytes(part) for part in changed)
        refused += not schnorr.verify(public, user.decode(), other.decode(), Proof(v, r))
    assert refused == 1000


small = st.sampled_from([0, 1, 2, 3, N - 1, N - 2, N, N + 1, 2**256 - 1])
scalars = st.one_of(small, st.integers(0, 2**256 - 1))


@given(st.integers(1, N - 1), scalars, st.integers(0, N - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_both_ways_say_the_same_of_anything(secret: int, r: int, v: int, other: str) -> None:
    public = p256.encode(p256.multiply(secret, p256.G))
    point = p256.multiply(v, p256.G) or p256.G
    both(public, USER, other, Proof(p256.encode(point), r.to_bytes(32, "big")))


@given(
    st.sampled_from([1, 2, 3, SECRET, N - 1, N - 2]),
    st.sampled_from([1, 2, 3, N - 1, N - 2, SECRET]),
    st.integers(0, 9),
)
def test_corners_hold_as_anything_else(secret: int, v: int, number: int) -> None:
    """V = G, V = -G, V = A, V = -A, A = G: the sums pass through infinity and doublings."""
    public, point = p256.encode(p256.multiply(secret, p256.G)), p256.encode(p256.multiply(v, p256.G))
    other = str(number)
    r = (v - secret * challenge_by_hand(point, public, USER, other)) % N
    assert both(public, USER, other, Proof(point, r.to_bytes(32, "big")))
    # The proof of the same c with -V in its place, for which only the sign is wrong.
    wrong = (-v - secret * challenge_by_hand(point, public, USER, other)) % N
    assert not both(public, USER, other, Proof(point, wrong.to_bytes(32, "big")))


@pytest.mark.parametrize(
    ("c", "r"),
    [(c, r) for c in (0, 1, N - 1) for r in (0, 1, N - 1, 5) if c or r],  # 0 G + 0 A has no form
)
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_that_no_hash_gives_are_judged_alike(
    c: int, r: int, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schnorr, "challenge", lambda *_: c)
    v = sign * (r + c * SECRET) % N
    proof = Proof(times_g(v), r.to_bytes(32, "big"))
    assert both(PUBLIC, USER, OTHER, proof) is (sign == 1)


def test_a_mirrored_proof_holds_for_one_shift_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could choose the shift t could make r G + c A = -V - 2 t G. So it is a hash of the proof."""
    c = challenge_by_hand(times_g(1234), PUBLIC, USER, OTHER)
    mirrored = Proof(times_g(1234), ((-1234 - 2 * 77 - SECRET * c) % N).to_bytes(32, "big"))
    assert not both(PUBLIC, USER, OTHER, mirrored)
    shifts, shift_of = [], schnorr._shift

    def known(read: Any) -> int:
        shifts.append(shift_of(read))
        return 77

    monkeypatch.setattr(schnorr, "_shift", known)
    assert schnorr.verify(PUBLIC, USER, OTHER, mirrored)
    schnorr.verify(PUBLIC, USER, OTHER + " ", mirrored)
    schnorr.verify(PUBLIC, USER, OTHER, Proof(mirrored.v, bytes(31) + b"\1"))
    assert len(set(shifts)) == 3


@pytest.mark.parametrize("v", [1, 77, N - 77, N - 1])
def test_the_point_of_the_shift_itself_is_judged_as_any(v: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """V = t G is doubled, V = -t G goes to infinity."""
    monkeypatch.setattr(schnorr, "_shift", lambda _: 77)
    public, proof = proof_by_openssl(SECRET, v, USER, OTHER)
    assert both(public, USER, OTHER, proof)
    assert not both(public, USER, OTHER + " ", proof)


@given(st.lists(st.integers(1, PRIME - 1), max_size=5))
def test_inverses_made_together_are_those_made_alone(numbers: list[int]) -> None:
    assert p256.inverses(numbers, PRIME) == [pow(number, -1, PRIME) for number in numbers]


def test_coordinates_of_which_two_are_one_modulo_the_order_go_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """x and x + n are the same to ECDSA: a V whose x differs by n from the right one must not pass."""
    low = next(x for x in range(5, 200) if lifted(x) is not None and lifted(x + N) is not None)
    right, wrong = lifted(low), lifted(low + N)
    assert right is not None
    assert wrong is not None
    # An A for which r G + c A is the right point, with c = 1 and r = 1.
    public = p256.encode(p256.add(right, p256.negate(p256.G)))
    monkeypatch.setattr(schnorr, "challenge", lambda *_: 1)
    one = (1).to_bytes(32, "big")
    assert both(public, USER, OTHER, Proof(p256.encode(right), one))
    for other in (wrong, p256.negate(wrong), p256.negate(right)):
        assert not both(public, USER, OTHER, Proof(p256.encode(other), one))
    public = p256.encode(p256.add(wrong, p256.negate(p256.G)))
    assert both(public, USER, OTHER, Proof(p256.encode(wrong), one))
    assert not both(public, USER, OTHER, Proof(p256.encode(right), one))


def lifted(x: int) -> tuple[int, int] | None:
    """A point of the curve with this coordinate."""
    square = (x**3 - 3 * x + p256.B) % PRIME
    y = pow(square, (PRIME + 1) // 4, PRIME)
    return (x, y) if x < PRIME and y * y % PRIME == square else None


@pytest.mark.parametrize(
    "data",
    [b"", bytes(65), b"\x04" + bytes(64), PUBLIC[:-1], PUBLIC + b"\0", b"\x02" + PUBLIC[1:33], b"\x06" + PUBLIC[1:]],
)
def test_what_is_no_point_is_refused_as_a_key_and_no_proof(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="proof_key: is no point"):
        schnorr.check_public(data)
    assert not both(data, USER, OTHER, PROOF)
    assert not both(PUBLIC, USER, OTHER, Proof(data, PROOF.r))


def test_coordinates_beyond_the_prime_are_no_point() -> None:
    x = next(x for x in range(2**256 - PRIME) if lifted(x) is not None)
    point = lifted(x)
    assert point is not None
    assert p256.decode(b"\x04" + (x + PRIME).to_bytes(32, "big") + point[1].to_bytes(32, "big")) is None
    assert p256.decode(p256.encode(point)) == point


@pytest.mark.parametrize("r", [PROOF.r[:-1], PROOF.r + b"\0", b"", N.to_bytes(32, "big")])
def test_an_r_of_another_form_is_no_proof(r: bytes) -> None:
    assert not both(PUBLIC, USER, OTHER, Proof(PROOF.v, r))


def test_texts_and_numbers_of_another_form_are_refused_by_name() -> None:
    for text in ("", PROOF.text[:-1], PROOF.text.upper(), PROOF.text[:-1] + "g", PROOF.text + "00"):
        with pytest.raises(EvidenceError, match="proof: must be 194 hex digits"):
            Proof.of(text)
    for secret in (0, -1, N):
        with pytest.raises(EvidenceError, match="secret: "):
            schnorr.prove(secret, USER, OTHER, randbytes=ones)
    with pytest.raises(EvidenceError, match="randbytes: gave 31 bytes"):
        schnorr.prove(SECRET, USER, OTHER, randbytes=lambda _: bytes(31))
    with pytest.raises(ValueError, match="infinity"):
        p256.encode(None)


@given(st.integers(0, 2**256), st.integers(0, 2**256))
def test_sums_are_those_by_hand(left: int, right: int) -> None:
    a, b = p256.multiply(left, p256.G), p256.multiply(right, p256.G)
    assert a == product_by_hand(left % N, (GX, GY))
    assert p256.add(a, b) == sum_by_hand(a, b) == p256.multiply(left + right, p256.G)
    assert p256.add(a, p256.negate(a)) is None
    assert p256.multiply(ORDER, a) is None
