"""The example text-statistics does what its README says, on its samples and on bad files."""

from __future__ import annotations

from tests.examples.conftest import RunExample, run_sample


def test_text_statistics_counts_the_sample(run_example: RunExample) -> None:
    output = run_sample(run_example, "text-statistics").output
    assert (output["words"], output["sentences"], output["paragraphs"]) == (68, 7, 3)
    assert output["top_words"][:2] == [
        {"word": "desk", "count": 3},
        {"word": "works", "count": 2},
    ]
    assert output["reading_level"] == "easy"


def test_text_statistics_rates_hard_prose_as_harder(run_example: RunExample) -> None:
    easy = run_example("text-statistics", {"text": "The cat sat. The dog ran. We like them."})
    hard_text = (
        "Notwithstanding considerable organisational complexity, interdepartmental communication "
        "necessitates comprehensive documentation of administrative responsibilities."
    )
    hard = run_example("text-statistics", {"text": hard_text})
    assert easy.output["reading_level"] == "very easy"
    assert hard.output["reading_level"] == "very hard"


def test_text_statistics_handles_other_languages(run_example: RunExample) -> None:
    run = run_example("text-statistics", {"text": "Добрый день, коллеги. Встреча в пять."})
    assert (run.output["words"], run.output["reading_ease"]) == (6, None)
    assert run.output["reading_level"] == "only rated for English"


def test_text_statistics_refuses_a_text_without_words(run_example: RunExample) -> None:
    run = run_example("text-statistics", {"text": " ... \n"})
    assert (run.succeeded, run.stderr) == (False, "The text has no words.\n")
