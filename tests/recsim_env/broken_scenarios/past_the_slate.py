"""An index goes one past the slate."""

from dataclasses import dataclass

from recsim_env import Field, Scenario, param


@dataclass(frozen=True)
class PastTheSlate(Scenario):
    """Readers who look for a click in the slate, and past it."""

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
        place = 0
        while responses[place].clicked == 0.0:  # here
            place += 1
        user.patience -= 1.0

    def left(self, user):
        return user.patience <= 0.0
