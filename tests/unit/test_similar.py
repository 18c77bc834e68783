import random

from bridge.suggest import among, distance, similar


def test_distance_counts_changes_double_and_case_once() -> None:
    others = ("kitten", "Kitten", "sitting", "")
    assert [distance("kitten", other) for other in others] == [0, 1, 6, 6]


def test_what_is_missing_at_the_beginning_counts_once() -> None:
    assert [distance("kitten", other) for other in ("itten", "kitte", "akitten")] == [1, 2, 1]


def test_equally_near_names_are_in_the_order_of_the_alphabet() -> None:
    assert similar("abc", ["abd", "ab", "aBC", "zzzzzz"], 3) == ("aBC", "ab", "abd")


def test_no_names_leave_no_trace_in_a_message() -> None:
    assert among(()) == ""
    assert among(("a", "b")) == " (similar: a, b)"


def test_the_nearest_are_found_without_looking_at_all() -> None:
    chance = random.Random(7)
    names = {"".join(chance.choices("abAB_", k=chance.randrange(1, 9))) for _ in range(300)}
    for name in sorted(names)[:60]:
        asked = name[::-1] + "a"
        ranked = sorted((distance(asked, other), other) for other in names)
        assert similar(asked, names) == tuple(other for _, other in ranked[:5])
