"""A scenario in one file: recsim-env bench examples/coffee_shop.py:CoffeeShop --steps 50000"""

from dataclasses import dataclass

from recsim_env import Field, Scenario, param


@dataclass(frozen=True)
class CoffeeShop(Scenario):
    """Sweet drinks sell now; guests who had too many do not stay for another."""

    recovery: float = param(0.9, "how much of the weariness is left after a step", low=0, high=1)

    def user_fields(self):
        return [Field("weariness", low=0, high=10, seen=True), Field("gone", integer=True)]

    def item_fields(self):
        return [Field("sweetness", low=0, high=1, seen=True)]

    def offer(self, user, items, rng):
        for position in range(len(items)):
            items[position].sweetness = rng.uniform()

    def arrive(self, user, rng):
        user.weariness = rng.uniform()

    def respond(self, user, items, slate, responses, scratch, rng):
        for place in range(len(slate)):
            responses[place].clicked = rng.uniform() < 0.3 + 0.6 * items[slate[place]].sweetness

    def evolve(self, user, items, slate, responses, rng):
        user.weariness = self.recovery * user.weariness + items[slate[0]].sweetness
        user.gone = rng.uniform() < 0.02 + 0.1 * max(0.0, user.weariness - 3.0)

    def left(self, user):
        return user.gone == 1

    def appeal(self, user, item):
        return item.sweetness
