"""The file that features are kept in, when several processes use it at once."""

import multiprocessing

import numpy as np

from vision101.training.feature_store import keep_vector, load_vector, open_store

PROCESSES, ROUNDS = 4, 20


def use_store(folder, barrier, results):
    """Open the store of each round with the other processes at once, and use it."""
    vector = np.arange(12, dtype=np.float32)
    for number in range(ROUNDS):
        barrier.wait(60)
        with open_store(folder / f"{number}.sqlite") as store:
            for view in range(20):
                if load_vector(store, "photo", view, 12) is None:
                    with store:
                        keep_vector(store, "photo", view, vector + view)
            kept = [load_vector(store, "photo", view, 12) for view in range(20)]
        results.put(np.array_equal(kept, vector + np.arange(20)[:, None]))


def test_four_processes_mend_a_damaged_store_together(tmp_path):
    for number in range(ROUNDS):
        with open_store(tmp_path / f"{number}.sqlite") as store, store:
            for view in range(200):
                keep_vector(store, "other photo", view, np.zeros(12, np.float32))
        path = tmp_path / f"{number}.sqlite"
        content = path.read_bytes()
        # Some are no database, others are damaged further on, or empty.
        start = (0, 100, 5000)[number % 3]
        path.write_bytes(content[:start] + b"damaged" * 50 + content[start + 350 :])
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    arguments = (tmp_path, barrier, results)
    processes = [context.Process(target=use_store, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    right = [results.get(timeout=120) for _ in range(PROCESSES * ROUNDS)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert all(right)
    assert not list(tmp_path.glob("*-journal"))
