from nexus_core.observe.windows.window import MOVING, Window


def test_each_leads_to_a_longer_one_and_the_longest_to_the_shortest() -> None:
    assert [window.next for window in Window] == [*list(Window)[1:], Window.MINUTE]
    seconds = [window.seconds for window in MOVING]
    assert seconds == [60, 300, 3600]
    assert [window.value for window in Window] == ["1m", "5m", "1h", "start"]
