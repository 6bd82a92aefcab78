from collections.abc import Mapping

from nexus_core.control.key_use import KeyUse
from nexus_core.keys.as_json import Use
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests


async def test_what_is_not_recent_any_more_is_known_from_the_ledger() -> None:
    recent, asked = RecentRequests(capacity=2), list[str]()

    async def ledger() -> Mapping[str, float]:
        asked.append("ledger")
        return {"old": 5.0, "laptop": 6.0}

    use = KeyUse(lambda: recent, lambda: {"laptop": 3}, ledger, lambda: 100.0)
    recent.add(RequestRecord("a", 30.0, client="laptop"))
    await use.look()
    await use.look()
    first = [use.by_client()(name) for name in ("laptop", "old", "ci")]
    for number in range(5):
        recent.add(RequestRecord(str(number), 99.0, client=None if number else "ci"))
    recent.add(RequestRecord("z", 99.5, client="ci"))
    later = use.by_client()

    assert asked == ["ledger"]
    assert first == [Use(under_way=3, last=30.0), Use(last=5.0), Use()]
    assert later("ci") == Use(requests=1, last=99.5)
    assert later("laptop").last == 30.0
