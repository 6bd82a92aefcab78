from __future__ import annotations

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.gateway import Gateway
from nexus_core.types import PrivacyZone


@pytest.fixture
def gateway() -> Gateway:
    """A local and a cloud backend that nobody answers for."""
    backends = [
        BackendConfig(
            name=name,
            url="http://127.0.0.1:1",
            type=kind,
            zone=zone,
            models={"m": "m"},
            api_key="sk-0123456789" if kind is BackendType.OPENAI else None,
        )
        for name, kind, zone in [
            ("local", BackendType.VLLM, PrivacyZone.RESTRICTED),
            ("cloud", BackendType.OPENAI, PrivacyZone.OPEN),
        ]
    ]
    return Gateway(Config(backends=tuple(backends)))
