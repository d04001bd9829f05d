"""The article's masks with f restored: both formulas of 4.3.2, and what they do not hide."""

from __future__ import annotations

import random
from math import gcd

import pytest

from gridledger.sharing import masks
from gridledger.sharing.errors import SharingError
from gridledger.sharing.masks import Dealer, Group, hide, jacobi, jacobi_of_share, mask, mask_holds, new_key, reveal
from gridledger.sharing.primes import is_prime, safe_prime

DRAWN = random.Random(2007)


@pytest.fixture(scope="module")
def dealer() -> Dealer:
    return masks.new_dealer(192, random.Random(7).randbytes)


def test_safe_primes_are_such() -> None:
    p, x = safe_prime(64, random.Random(1).randbytes)
    assert p == 2 * x + 1
    assert is_prime(p)
    assert is_prime(x)
    assert p.bit_length() == 64


def test_a_small_group_by_hand() -> None:
    """p = 23, q = 47: N = 1081, phi = 22 * 46 = 1012. x0 = 5: f = 5^-1 = 405."""
    group = Group(1081, 35)
    found = Dealer(group, 5, pow(5, -1, 1012))
    assert found.f == 405
    y = group.public(8)
    assert y == pow(35, 8, 1081)
    made = mask(group, y, 5)
    assert made == mask(group, found.y0, 8) == pow(35, 40, 1081)
    assert hide(group, 77, made) == 77 * made % 1081
    assert reveal(group, hide(group, 77, made), made) == 77
    assert mask_holds(405, group, y, made)
    assert not mask_holds(405, group, y, made + 1)


def test_g_and_x0_are_as_zhao_has_them(dealer: Dealer) -> None:
    n = dealer.group.modulus
    assert n < dealer.group.g**2 < n**2
    assert gcd(dealer.group.g, n) == 1
    assert dealer.x0 % 2 == 1


def test_receiver_and_dealer_make_the_same_mask_and_anyone_checks_it(dealer: Dealer) -> None:
    group = dealer.group
    for _ in range(20):
        key = new_key(group.modulus, DRAWN.randbytes)
        share, y = DRAWN.randrange(group.modulus), group.public(key)
        broadcast = hide(group, share, mask(group, y, dealer.x0))
        revealed = mask(group, dealer.y0, key)
        assert reveal(group, broadcast, revealed) == share
        assert mask_holds(dealer.f, group, y, revealed)
        assert not mask_holds(dealer.f, group, y, revealed * 2 % group.modulus)


def test_the_second_formula_of_4_3_2_holds_only_as_corrected(dealer: Dealer) -> None:
    group, n = dealer.group, dealer.group.modulus
    x_ch, x_m = new_key(n, DRAWN.randbytes), new_key(n, DRAWN.randbytes)
    y_ch, y_m, share = group.public(x_ch), group.public(x_m), 4711
    top = share * pow(y_ch, x_m, n) % n
    assert top * pow(pow(y_m, x_ch, n), -1, n) % n == share
    assert top * pow(pow(y_ch, x_ch, n), -1, n) % n != share  # as it is printed
    assert share * pow(y_m, x_ch, n) * pow(pow(y_ch, x_m, n), -1, n) % n == share  # the first one


def test_the_ratio_of_two_shares_is_read_off_while_keys_stay(dealer: Dealer) -> None:
    group, n = dealer.group, dealer.group.modulus
    made = mask(group, group.public(new_key(n, DRAWN.randbytes)), dealer.x0)
    one, other = 123456789, 987654321
    ratio = hide(group, one, made) * pow(hide(group, other, made), -1, n) % n
    assert ratio == one * pow(other, -1, n) % n


def test_the_jacobi_symbol_of_every_share_is_readable(dealer: Dealer) -> None:
    group, n = dealer.group, dealer.group.modulus
    read = {1: 0, -1: 0}
    for _ in range(300):
        y, share = group.public(new_key(n, DRAWN.randbytes)), DRAWN.randrange(1, n)
        symbol = jacobi_of_share(group, hide(group, share, mask(group, y, dealer.x0)), y)
        assert symbol == jacobi(share, n)
        read[symbol] += 1
    assert min(read.values()) > 100


def test_the_jacobi_symbol_is_that_of_the_primes() -> None:
    for a in range(1, 23 * 47):
        by_euler = 1
        for p in (23, 47):
            power = pow(a, (p - 1) // 2, p)
            by_euler *= -1 if power == p - 1 else power
        assert jacobi(a, 23 * 47) == by_euler


def test_a_share_of_0_shows(dealer: Dealer) -> None:
    made = mask(dealer.group, dealer.y0, 3)
    assert hide(dealer.group, 0, made) == 0


def test_a_share_that_does_not_fit_is_refused(dealer: Dealer) -> None:
    with pytest.raises(SharingError, match="share"):
        hide(dealer.group, dealer.group.modulus, 1)
