"""Patience shrinks and never reaches 0, which is when the user leaves."""

from dataclasses import dataclass

from recsim_env import Field, Scenario, param


@dataclass(frozen=True)
class NeverLeaves(Scenario):
    """Readers whose patience fades."""

    slate_size: int = param(2, "books shown at a step", low=1, high=10)
    patience: float = param(6.0, "steps that a reader has", low=1)

    def user_fields(self):
        return [Field("taste", low=0, high=1, seen=True), Field("patience", low=0, high=10)]

    def item_fields(self):
        return [Field("quality", low=0, high=1, seen=True)]

    def arrive(self, user, rng):
        user.taste = rng.uniform()
        user.patience = self.patience

    def offer(self, user, items, rng):
        for position in range(len(items)):
            items[position].quality = rng.uniform()

    def respond(self, user, items, slate, responses, scratch, rng):
        for place in range(len(slate)):
            chance = user.taste * items[slate[place]].quality
            responses[place].clicked = rng.uniform() < chance

    def evolve(self, user, items, slate, responses, rng):
        user.patience *= 0.99

    def left(self, user):  # here
        return user.patience <= 0.0
