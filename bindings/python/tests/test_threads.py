"""The interpreter's lock is released while tamis works."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import tamis
from conftest import make_picture, make_sound

BIG = numpy.tile(make_picture(512, 512), (4, 4, 1))


def busy(work):
    """How often another thread runs while `work` does, and how long that takes."""
    count, stop, ready = [0], threading.Event(), threading.Event()

    def other():
        ready.set()
        while not stop.is_set():
            count[0] += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    before, start = count[0], time.perf_counter()
    work()
    took, ran = time.perf_counter() - start, count[0] - before
    stop.set()
    thread.join()
    return ran, took


def test_others_run_while_it_works():
    encoder = tamis.Encoder("rgb", quality=90)
    latent = encoder.push(BIG)
    decoder, neural = tamis.Decoder("rgb"), tamis.Decoder("rgb", decoder="edge")
    with tamis.Writer(Null()) as writer:
        works = [
            lambda: [encoder.push(BIG) for _ in range(20)],
            lambda: [decoder.push(latent) for _ in range(10)],
            lambda: neural.push(latent),
            lambda: writer.write(latent),
            lambda: tamis.fit([make_picture(seed=i) for i in range(4)], channels=12),
        ]
        for work in works:
            ran, took = busy(work)
            # One that held the lock would let the other in only between two calls.
            assert ran >= 5, f"{ran} times in {took:.3f} s"


class Null:
    def write(self, data):
        return len(data)


def test_threads_encode_side_by_side_and_give_the_same():
    wanted = tamis.Encoder("rgb").push(BIG).values
    sound = make_sound(50000)
    wanted_sound = tamis.Encoder("mono").push(sound, rate=44100).values

    def work(_):
        pictures, sounds = tamis.Encoder("rgb"), tamis.Encoder("mono")
        for _ in range(3):
            assert (pictures.push(BIG).values == wanted).all()
            assert (sounds.push(sound, rate=44100).values == wanted_sound).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))


def test_threads_may_share_one():
    encoder, head = tamis.Encoder("rgb"), tamis.Head("waste")
    pictures = [make_picture(224, 224, seed=i) for i in range(8)]
    wanted = [head.run(encoder.push(p)).top for p in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda p: head.run(encoder.push(p)).top, pictures)) == wanted


def test_threads_of_one_picture_change_nothing():
    one = tamis.Encoder("rgb").push(BIG).values
    assert (tamis.Encoder("rgb", threads=3).push(BIG).values == one).all()


def test_a_fit_can_be_interrupted():
    import signal

    pictures = [make_picture(512, 512, seed=i) for i in range(48)]
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        tamis.fit(pictures * 20, channels=48)
    assert time.perf_counter() - start < 30
