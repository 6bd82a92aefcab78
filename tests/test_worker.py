"""The board that several workers share: who takes the next connection."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from nexus_core.worker import Board, Share, make_board


@pytest.fixture
def board() -> Iterator[Board]:
    descriptor = make_board(3)
    board = Board(descriptor, 3)
    os.close(descriptor)
    yield board
    board.close()


def test_who_has_more_leaves_the_next_connection_to_another_once(board: Board) -> None:
    mine = Share(board, 1)
    mine.note(5)
    board.note(2, 4)

    assert [mine.has_turn(5), mine.has_turn(5), mine.has_turn(6)] == [False, True, False]


def test_the_more_it_has_the_longer_it_waits_but_not_for_ever(board: Board) -> None:
    mine = Share(board, 1)
    board.note(2, 0)

    waits = [next(at for at in range(9) if mine.has_turn(count)) for count in (1, 3, 30)]

    assert waits == [1, 3, 4]


def test_who_has_fewest_takes_it_at_once(board: Board) -> None:
    mine = Share(board, 1)
    board.note(2, 4)

    assert mine.has_turn(3)
    assert board.fewest() == 4  # it is counted


def test_a_worker_that_is_not_there_is_waited_for_by_nobody(board: Board) -> None:
    mine = Share(board, 1)
    board.note(2, 0)
    board.leave(2)

    assert mine.has_turn(9)
    assert board.serving == 1


def test_processes_share_it() -> None:
    descriptor = make_board(2)
    ours, theirs = Board(descriptor, 2), Board(descriptor, 2)
    os.close(descriptor)

    theirs.note(2, 7)

    assert ours.fewest() == 7
    ours.close()
    theirs.close()
