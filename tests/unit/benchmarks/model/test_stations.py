"""The model's parts obey what is known of queues."""

from __future__ import annotations

import random

import pytest
from simpy import Environment

from benchmarks.model.stations import QUANTUM_S, Batches, Cores, Disk, Link


def finished(env, events):
    """When each event happened."""
    times = [None] * len(events)

    def note(index, event):
        yield event
        times[index] = env.now

    for index, event in enumerate(events):
        env.process(note(index, event))
    env.run()
    return times


def test_a_process_of_one_thread_works_on_one_thing_at_a_time():
    env = Environment()
    process = Cores(env, 4).process()
    assert finished(env, [process.work(0.001), process.work(0.002)]) == pytest.approx([0.001, 0.003])


def test_as_many_processes_work_at_once_as_there_are_cores():
    env = Environment()
    cores = Cores(env, 2)
    jobs = [cores.process().work(0.001) for _ in range(4)]
    assert finished(env, jobs) == pytest.approx([0.001, 0.001, 0.002, 0.002])
    assert cores.busy_s == pytest.approx(0.004)


def test_a_fraction_of_a_core_takes_longer_in_proportion():
    env = Environment()
    cores = Cores(env, 1.5)
    times = finished(env, [cores.process().work(0.003) for _ in range(2)])
    assert times == pytest.approx([0.004, 0.004])


def test_long_work_does_not_hold_up_who_needs_little():
    env = Environment()
    cores = Cores(env, 1)
    long, short = cores.process().work(1.0), cores.process().work(0.001)
    ended = finished(env, [long, short])
    assert ended[1] <= QUANTUM_S + 0.002
    assert ended[0] == pytest.approx(1.001)


def test_processes_that_always_have_work_share_cores_evenly():
    env = Environment()
    cores = Cores(env, 2)
    processes = [cores.process() for _ in range(5)]
    for process in processes:
        for _ in range(1000):
            process.work(0.004)
    env.run(until=1.0)
    assert [process.busy_s for process in processes] == pytest.approx([0.4] * 5, abs=2 * QUANTUM_S)


def test_one_queue_waits_as_long_as_theory_says():
    """M/D/1: with Poisson arrivals and a fixed service time s the mean wait is rho * s / (2 * (1 - rho))."""
    env, rng = Environment(), random.Random(7)
    process = Cores(env, 1).process()
    service, load, waits = 0.002, 0.7, []

    def customer():
        begun = env.now
        yield process.work(service)
        waits.append(env.now - begun - service)

    def arrivals():
        for _ in range(40_000):
            yield env.timeout(rng.expovariate(load / service))
            env.process(customer())

    env.process(arrivals())
    env.run()
    assert sum(waits) / len(waits) == pytest.approx(load * service / (2 * (1 - load)), rel=0.05)


def test_a_flush_serves_all_who_wrote_before_it():
    env = Environment()
    disk = Disk(env, 0.01)
    first, *others = [disk.flush() for _ in range(4)]
    assert finished(env, [first, *others]) == pytest.approx([0.01, 0.02, 0.02, 0.02])


def test_a_link_sends_one_message_behind_the_other():
    env = Environment()
    link = Link(env, bytes_s=1000.0, latency_s=0.5)
    assert finished(env, [link.send(100), link.send(300)]) == pytest.approx([0.6, 0.9])
    assert link.full_s == pytest.approx(0.4)


def test_what_comes_while_a_batch_is_sent_is_the_next_batch():
    env, sent = Environment(), []

    def send(batch):
        sent.append((env.now, list(batch)))
        yield env.timeout(1.0)

    queue = Batches(env, limit=3, senders=1, send=send)

    def sender():
        queue.put(0)
        yield env.timeout(0.5)
        for item in range(1, 6):
            queue.put(item)

    env.process(sender())
    env.run()
    assert sent == [(0.0, [0]), (1.0, [1, 2, 3]), (2.0, [4, 5])]
