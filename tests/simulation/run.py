"""Run a scenario: the world on a loop of virtual time, with the service's clients exchanged."""

from __future__ import annotations

import logging

from tests.simulation.acts import ACTS
from tests.simulation.clients import simulated
from tests.simulation.clock import DeadlockError, VirtualLoop
from tests.simulation.scenario import Scenario
from tests.simulation.worker import House, track
from tests.simulation.world import Outcome, World


def run(scenario: Scenario, house: House | None = None) -> Outcome:
    """Run a scenario to its end, in virtual time. Same scenario, same run."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    track(loop)
    world = World(scenario, house or House(), ACTS)
    loop.set_exception_handler(world.unhandled)
    try:
        with simulated(world.house.clients, world.house.runtime, world.broker):
            loop.run_until_complete(world.run())
    except DeadlockError:
        world.outcome.wrong.append("deadlock: everybody waits for ever")
    finally:
        world.outcome.seconds = loop.time()
        world.close(loop)
        logging.disable(logging.NOTSET)
    return world.outcome
