"""Run a scenario: the world on a loop of virtual time, with the service's clients exchanged."""

from __future__ import annotations

import logging

from verify.simulation.clients import simulated
from verify.simulation.clock import DeadlockError, VirtualLoop
from verify.simulation.fault_actions import ACTS
from verify.simulation.scenario import Scenario
from verify.simulation.worker import House, track
from verify.simulation.world import Outcome, World


def run(scenario: Scenario, house: House | None = None) -> Outcome:
    """Run a scenario to its end, in virtual time. Same scenario, same run."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    track(loop)
    world = World(scenario, house or House(), ACTS)
    loop.set_exception_handler(world.unhandled)
    try:
        with simulated(world.house.clients, world.broker):
            loop.run_until_complete(world.run())
    except DeadlockError:
        world.outcome.wrong.append("deadlock: everybody waits for ever")
    finally:
        world.outcome.seconds = loop.time()
        world.close(loop)
        logging.disable(logging.NOTSET)
    return world.outcome
