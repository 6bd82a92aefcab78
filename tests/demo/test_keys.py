from pathlib import Path

from nexus_core.config.schema import Config, StorageConfig
from nexus_core.demo.keys import make_keys
from nexus_core.gateway import Gateway, GatewayOptions


async def test_the_demos_keys_open_it_and_whoever_has_none_comes_in() -> None:
    config = Config(storage=StorageConfig(path=":memory:"))
    gateway = Gateway(config, options=GatewayOptions(is_demo=True))

    secrets = await make_keys(gateway)

    table = gateway.keys.table
    assert table is not None
    assert table.is_optional
    opened = [table.find(secret.encode()) for secret in secrets]
    assert [key.name for key in opened if key is not None] == ["laptop", "ci", "phone"]
    listed = (await gateway.key_control.listed())["keys"]
    assert {key["name"]: key["state"] for key in listed} == {
        "old-phone": "revoked",
        "laptop": "active",
        "ci": "active",
        "phone": "active",
    }


async def test_keys_that_are_there_are_left_alone(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(path=str(tmp_path / "n.db")))

    assert len(await make_keys(Gateway(config))) == 3
    assert await make_keys(Gateway(config)) == ()
