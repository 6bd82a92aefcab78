"""Simulated servers: generated answers, faults and pace in each provider's wire format."""

from nexus_core.demo.simulated.anthropic import AnthropicFormat
from nexus_core.demo.simulated.google import GoogleFormat
from nexus_core.demo.simulated.openai import OpenAIFormat
from nexus_core.demo.simulated.server import (
    FULL_SPEED,
    Behaviour,
    Fault,
    ReceivedRequest,
    SimulatedServer,
)

__all__ = [
    "FULL_SPEED",
    "AnthropicFormat",
    "Behaviour",
    "Fault",
    "GoogleFormat",
    "OpenAIFormat",
    "ReceivedRequest",
    "SimulatedServer",
]
