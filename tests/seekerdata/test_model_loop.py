"""One loop asks models; of many items that wait one is at work, and no wait for another item stops that one."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from seekerdata.model_loop import at_work, on_model_loop, waiting


async def where() -> int:
    return threading.get_ident()


def test_all_threads_ask_on_one_loop_that_is_none_of_theirs() -> None:
    def ask(n: int) -> int:
        with at_work():
            return asyncio.run(on_model_loop(where()))

    with ThreadPoolExecutor(8) as threads:
        asked = set(threads.map(ask, range(32)))
    assert len(asked) == 1 and threading.get_ident() not in asked


def test_one_item_is_at_work_and_the_others_may_wait() -> None:
    all_wait = asyncio.Barrier(8)
    at_once: list[int] = []
    working = 0

    async def model() -> None:
        await asyncio.wait_for(all_wait.wait(), 20)  # answers when all eight have asked

    def item(n: int) -> None:
        nonlocal working
        with at_work():
            for step in range(3):
                working += 1
                at_once.append(working)
                working -= 1
                if step == 1:
                    asyncio.run(on_model_loop(model()))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(item, range(8)))
    assert len(at_once) == 24 and set(at_once) == {1}


def test_an_item_that_waits_for_another_lets_it_finish() -> None:
    outcome: Future[str] = Future()
    begun = threading.Event()

    def first() -> None:
        with at_work():
            begun.set()
            asyncio.run(on_model_loop(where()))  # comes back only when it may work again
            outcome.set_result("said")

    def second() -> str:
        begun.wait(20)
        with at_work(), waiting():
            return outcome.result(20)

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.submit(first), threads.submit(second)
        assert other.result(20) == "said"
        one.result(20)


def test_several_calls_of_one_item_are_under_way_at_once() -> None:
    both = asyncio.Barrier(2)

    async def model(n: int) -> int:
        await asyncio.wait_for(both.wait(), 20)
        return n

    async def two() -> list[int]:
        return await asyncio.gather(on_model_loop(model(1)), on_model_loop(model(2)))

    with at_work():
        assert asyncio.run(two()) == [1, 2]
    with at_work():
        pass
