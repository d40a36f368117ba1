"""Eight threads with a lock, a condition, a barrier and queues."""

import queue
import threading

THREADS, ROUNDS = 8, 2000
lock, barrier, condition = threading.Lock(), threading.Barrier(THREADS), threading.Condition()
work: "queue.Queue[int | None]" = queue.Queue(maxsize=16)
done: "queue.Queue[int]" = queue.Queue()
counted, turn = 0, 0


def take_turn(number: int) -> None:
    global turn
    with condition:
        condition.wait_for(lambda: turn == number)
        turn += 1
        condition.notify_all()


def count(number: int) -> None:
    global counted
    for _ in range(ROUNDS):
        with lock:
            counted += 1
    barrier.wait()
    for round_ in range(20):
        take_turn(round_ * THREADS + number)
    while (item := work.get()) is not None:
        done.put(item * item)


threads = [threading.Thread(target=count, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for item in range(ROUNDS):
    work.put(item)
for _ in threads:
    work.put(None)
for thread in threads:
    thread.join()
results = sorted(done.get() for _ in range(ROUNDS))
print(counted, turn, len(results), results[-1], work.empty(), done.empty())
