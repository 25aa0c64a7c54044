"""What each figure of the report shows and how it is read: a heading and a few sentences, by the figure's name."""

from __future__ import annotations

CAPTIONS: dict[str, tuple[str, str]] = {
    "engagement": (
        "Engagement of a session",
        "What a session earns in the mean: its rewards, added up to its end. Further right is better. The bar is the "
        "95 % interval of the mean; where bars overlap, the ranks in the table above tell more, since they compare "
        "agents on the same users.",
    ),
    "curves": (
        "Engagement while they train",
        "The engagement of users kept for validation, after so many user-steps of training. A line that still climbs "
        "at its right end would gain from more training; agents that do not learn are level lines.",
    ),
    "now": (
        "Reward now, and engagement in the end",
        "A point is one agent of one seed. To the right is what its next slate is expected to earn at once, upwards "
        "what a whole session earns. An agent at the lower right pleases users at once and has less of them later; one "
        "at the upper left gives something up now for more later.",
    ),
    "survival": (
        "How long sessions last",
        "The share of sessions that still go on after so many steps, of one slate each. The longer a line stays high, "
        "the longer users stay; a drop to 0 at the right end is the horizon, where the simulator cuts sessions.",
    ),
    "diversity": (
        "How varied the items shown and clicked are",
        "To the right: how much the items shown in one session differ (1 less the mean cosine of two of them; 0 is all "
        "alike). Upwards: over how many kinds of items its clicks spread (entropy in bits; 0 is one kind, 1 as many as "
        "two kinds in equal parts, 2 as four).",
    ),
    "shown": (
        "What each agent shows",
        "A row is an agent, a column an item with its number; where the world makes new items all the time, a column "
        "is a kind of items. The brighter a cell, the larger the share of it among all that the agent showed. Of many "
        "items only those shown most have a column.",
    ),
    "profile": (
        "Performance profiles",
        "A run's score is 0 where it earns what random does, and 1 where it earns what patient_oracle does. The line's "
        "height is the share of an agent's runs, one for each world and seed, that score more than the value below it. "
        "An agent whose line lies above another's everywhere is the better one at every level.",
    ),
}
